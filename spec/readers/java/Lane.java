// SPDX-License-Identifier: MIT OR Apache-2.0
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;

/** One lane, and the slots that were read from it: the members of a group come from one. */
final class Lane {
    static final int ATTEMPTS = 16;
    private static final long TOO_LONG = 2_000_000_000L; // nanoseconds, PROTOCOL.md section 2.3

    /** A value, or the room of the fields, changed too often while it was read. */
    static final class Contended extends Exception {
        private static final long serialVersionUID = 1;
    }

    private final Words words;
    private final long base;
    final long state;
    private final byte[] presence;
    private final Map<List<Long>, byte[]> slots = new HashMap<>();

    Lane(Image image, int number) {
        words = image.words;
        base = image.lane(number);
        state = words.u32(base);
        Words.fence(); // PROTOCOL.md section 5.2
        // Before the first value, so that a bit that is seen belongs to a value that is older.
        presence = words.copy(base + 64, image.presenceBytes);
        Words.fence();
    }

    boolean has(Field f) {
        return (f.flags & Field.OPTIONAL) == 0 || (presence[f.index >> 3] >> (f.index & 7) & 1) != 0;
    }

    /** The scalar of an atomic cell, in the form of a slot. */
    byte[] atomic(Field f) throws Broken {
        long cell = base + f.place;
        int size = Field.SIZES[f.type];
        if (size == 8) {
            return ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(words.u64(cell)).array();
        }
        int word = (int) words.u32(cell);
        byte[] bytes = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(word).array();
        if (size < 4) {
            boolean signed = f.type >= Field.I8 && f.type <= Field.I64;
            int shift = 32 - 8 * size;
            int wide = signed ? word << shift >> shift : word << shift >>> shift;
            Broken.unless(wide == word, "value-range");
        }
        return Arrays.copyOf(bytes, size);
    }

    private static long slotAt(Field f, long cell, long number) {
        return cell + 8 + (number & f.slots() - 1) * f.slotSize;
    }

    /** PROTOCOL.md section 2.2. */
    byte[] slot(Field f) throws Contended {
        byte[] slot = slots.get(f.cell());
        if (slot == null) {
            slot = slotOf(f, base + f.place);
            slots.put(f.cell(), slot);
        }
        return slot;
    }

    /** PROTOCOL.md section 11.3: the numbers of the rows in use of a table. */
    List<Long> rows(Field f) {
        long cell = base + f.place;
        long used = words.u32(cell) | words.u32(cell + 4) << 32;
        Words.fence();
        return LongStream.range(0, f.param).filter(row -> state == 1 && (used >>> row & 1) != 0).boxed().toList();
    }

    byte[] row(Field f, long row) throws Contended {
        return slotOf(f, base + f.place + Field.ROWS + row * f.rowSize());
    }

    /** How often no row of a table was free. */
    long refused(Field f) {
        return words.u64(base + f.place + 16);
    }

    private byte[] slotOf(Field f, long cell) throws Contended {
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            long begin = System.nanoTime();
            long a = words.u32(cell); // R1
            Words.fence(); // R2
            byte[] slot = words.copy(slotAt(f, cell, a), f.slotSize); // R3
            Words.fence(); // R4
            long b = words.u32(cell); // R5
            if ((b - a & 0xFFFFFFFFL) <= f.slots() - 2 && System.nanoTime() - begin <= TOO_LONG) { // R6
                return slot;
            }
            Thread.onSpinWait();
        }
        throw new Contended();
    }

    /** PROTOCOL.md section 9.2: the elements, and the words of the newest slot. */
    long[][] journal(Field f) throws Contended, Broken {
        long cell = base + f.place;
        long tail = cell + 8 + f.slots() * f.slotSize;
        for (int attempt = 0; attempt < ATTEMPTS; attempt++, Thread.onSpinWait()) {
            long begin = System.nanoTime();
            long a = words.u32(cell); // K1
            Words.fence(); // K2
            long[] e = longs(tail, (int) f.count); // K3
            Words.fence(); // K4
            long b = words.u32(cell); // K5
            Words.fence(); // K6
            long moved = b - a & 0xFFFFFFFFL;
            if (moved > f.slots() - 2) {
                continue;
            }
            long[][] heads = new long[(int) moved + 1][];
            for (int n = 0; n < heads.length; n++) {
                heads[n] = longs(slotAt(f, cell, a + n + 1), 2); // K7
            }
            long[] slot = longs(slotAt(f, cell, b), (int) (f.slotSize / 8));
            Words.fence(); // K8
            long c = words.u32(cell); // K9
            if ((c - a & 0xFFFFFFFFL) > f.slots() - 2 || System.nanoTime() - begin > TOO_LONG) {
                continue;
            }
            for (int n = 0; n < moved; n++) { // K10
                int i = (int) (heads[n][1] & 0xFFFF);
                if (i < e.length) {
                    // The nearest number with these low 48 bits.
                    e[i] += ((heads[n][1] >>> 16) - e[i]) << 16 >> 16;
                }
            }
            long sum = Arrays.stream(e).sum();
            if (sum == slot[0]) { // K11
                return new long[][] {e, slot};
            }
            long[] next = heads[(int) moved]; // K12
            int i = (int) (next[1] & 0xFFFF);
            if (i < e.length) {
                long old = slot[0] - (sum - e[i]);
                if ((old + next[0] - slot[0] - (next[1] >>> 16)) << 16 == 0) {
                    e[i] = old;
                    return new long[][] {e, slot};
                }
            }
            Broken.unless(c != a, "value-total"); // K13
        }
        throw new Contended();
    }

    private long[] longs(long at, int count) {
        long[] out = new long[count];
        for (int i = 0; i < count; i++) {
            out[i] = words.u64(at + 8L * i);
        }
        return out;
    }
}
