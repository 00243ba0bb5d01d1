// SPDX-License-Identifier: MIT OR Apache-2.0
import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** The shared bytes of an image: aligned loads of little-endian words from a mapping. */
final class Words {
    private static final VarHandle INT =
            MethodHandles.byteBufferViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONG =
            MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private final ByteBuffer bytes;

    private Words(ByteBuffer bytes) {
        this.bytes = bytes;
    }

    /** Maps a regular file read-only; null if a buffer cannot hold it (2 GiB and more). */
    static Words map(Path path) throws IOException {
        if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
            throw new IOException(path + " is not a regular file");
        }
        try (FileChannel file =
                FileChannel.open(path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
            long size = file.size();
            if (size > Integer.MAX_VALUE) {
                return null;
            }
            MappedByteBuffer mapped = file.map(FileChannel.MapMode.READ_ONLY, 0, size);
            return new Words(mapped);
        }
    }

    long size() {
        return bytes.capacity();
    }

    /** One load of 4 bytes, as unsigned; opaque order is C's relaxed, or a little stronger. */
    long u32(long at) {
        return (int) INT.getOpaque(bytes, (int) at) & 0xFFFFFFFFL;
    }

    /** One load of 8 bytes. */
    long u64(long at) {
        return (long) LONG.getOpaque(bytes, (int) at);
    }

    /** Stands where PROTOCOL.md has fence(acquire). */
    static void fence() {
        VarHandle.acquireFence();
    }

    /** A copy, by words; `at` and `size` are multiples of 4. */
    byte[] copy(long at, long size) {
        ByteBuffer out = ByteBuffer.allocate((int) size).order(ByteOrder.LITTLE_ENDIAN);
        for (long i = 0; i < size; i += 4) {
            out.putInt((int) u32(at + i));
        }
        return out.array();
    }

    /** The first bytes, of a file that may be shorter than a word. */
    byte[] start(int most) {
        byte[] out = new byte[Math.min(most, bytes.capacity())];
        bytes.get(0, out);
        return out;
    }
}
