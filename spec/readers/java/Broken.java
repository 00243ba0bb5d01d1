// SPDX-License-Identifier: MIT OR Apache-2.0
/** A rule of FORMAT.md section 10 is broken. */
final class Broken extends Exception {
    private static final long serialVersionUID = 1;
    final String code;

    Broken(String code) {
        super(code, null, false, false);
        this.code = code;
    }

    static void unless(boolean holds, String code) throws Broken {
        if (!holds) {
            throw new Broken(code);
        }
    }
}
