// SPDX-License-Identifier: MIT OR Apache-2.0
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/** An image whose header passed the checks: FORMAT.md sections 3 and 10. */
final class Image {
    private static final byte[] MAGIC = {(byte) 0x89, 'M', 'M', 'S', '\r', '\n', 0x1A, '\n'};

    final Words words;
    final byte[] instance;
    final int minor;
    final long part, descriptorOffset, descriptorCapacity, descriptorSize, heapOffset, heapSize;
    final long lanesOffset, laneStride, laneCapacity, cellsOffset, presenceBytes;
    final long state, fieldCount, heapUsed, lanesUsed;

    Image(Words words) throws Broken {
        this.words = words;
        byte[] start = words.start(8);
        Broken.unless(Arrays.equals(start, Arrays.copyOf(MAGIC, start.length)), "bad-magic");
        Broken.unless(words.size() >= 192, "too-short");
        // A copy: the bytes that are checked are those that are used.
        byte[] raw = words.copy(0, 128);
        ByteBuffer h = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN);
        Broken.unless(Arrays.equals(Arrays.copyOf(raw, 8), MAGIC), "bad-magic");
        Broken.unless(h.getShort(8) == 3, "unsupported-major");
        Sum sum = new Sum();
        sum.add(Arrays.copyOf(raw, 120));
        Broken.unless(sum.value() == h.getLong(120), "header-checksum");
        Broken.unless(h.getShort(12) == 0, "unsupported-minor");
        Broken.unless(h.getLong(16) == 0, "required-features");
        long headerSize = h.getShort(14) & 0xFFFF;
        Broken.unless(headerSize >= 192 && headerSize % 64 == 0 && headerSize <= words.size(), "header-size");
        long fileSize = u32(h, 52);
        Broken.unless(fileSize <= words.size(), "file-size");
        minor = h.getShort(10) & 0xFFFF;
        instance = Arrays.copyOfRange(raw, 32, 48);
        part = u32(h, 48);
        descriptorOffset = u32(h, 56);
        descriptorCapacity = u32(h, 60);
        descriptorSize = h.getShort(64) & 0xFFFF;
        heapOffset = u32(h, 68);
        heapSize = u32(h, 72);
        lanesOffset = u32(h, 76);
        laneStride = u32(h, 80);
        laneCapacity = u32(h, 84);
        cellsOffset = u32(h, 88);
        Broken.unless(descriptorSize >= 64 && descriptorSize % 8 == 0, "descriptor-size");
        Broken.unless(descriptorCapacity <= 16_777_216 && laneCapacity >= 1 && laneCapacity <= 65_536, "limit");
        Broken.unless(descriptorOffset % 8 == 0 && heapOffset % 8 == 0 && heapSize % 8 == 0
                && lanesOffset % 64 == 0 && laneStride % 64 == 0 && cellsOffset % 8 == 0, "alignment");
        Broken.unless(descriptorOffset >= headerSize
                && heapOffset >= descriptorOffset + descriptorCapacity * descriptorSize
                && lanesOffset >= heapOffset + heapSize, "section-order");
        Broken.unless(lanesOffset + laneCapacity * laneStride <= fileSize, "section-bounds");
        presenceBytes = 8 * ((descriptorCapacity + 63) / 64);
        Broken.unless(cellsOffset >= 64 + presenceBytes && cellsOffset <= laneStride, "lane-layout");
        state = words.u32(128);
        Words.fence();
        Broken.unless(state != 1, "building");
        Broken.unless(state == 2 || state == 3, "bad-state");
        fieldCount = words.u32(132);
        Words.fence();
        heapUsed = words.u32(136);
        lanesUsed = words.u32(140);
        Words.fence();
        Broken.unless(fieldCount <= descriptorCapacity, "field-count");
        Broken.unless(heapUsed <= heapSize, "heap-used");
        Broken.unless(lanesUsed <= laneCapacity, "lanes-used");
    }

    /** Reads descriptors and values. */
    interface Read<T> {
        T read() throws Broken;
    }

    /** What {@code read} makes of one moment of the descriptions: PROTOCOL.md section 5.2. */
    static <T> T look(Words words, Read<T> read) throws Broken, Lane.Contended {
        if (words.size() < 192) {
            return read.read();
        }
        for (int attempt = 0; attempt < Lane.ATTEMPTS; attempt++) {
            long before = words.u32(156); // Q1
            Words.fence(); // Q2
            T found = read.read(); // Q3
            Words.fence(); // Q4
            if (words.u32(156) == before) { // Q5, Q6
                return found;
            }
            LockSupport.parkNanos(1_000_000); // the writer comes to an end meanwhile
        }
        throw new Lane.Contended();
    }

    static long u32(ByteBuffer bytes, int at) {
        return bytes.getInt(at) & 0xFFFFFFFFL;
    }

    static long up(long n, long unit) {
        return (n + unit - 1) / unit * unit;
    }

    boolean inHeap(long at, long size) {
        return at >= heapOffset && at + size <= heapOffset + heapUsed;
    }

    /** All fields; {@link Field#damage} is the first rule that one breaks. */
    List<Field> fields() {
        List<Field> fields = new ArrayList<>();
        Field.Walk walk = new Field.Walk(cellsOffset);
        for (int index = 0; index < fieldCount; index++) {
            Field field = new Field(this, index);
            try {
                field.check(walk);
            } catch (Broken broken) {
                field.damage = broken.code;
            }
            walk.before = field;
            fields.add(field);
        }
        return fields;
    }

    long lane(int number) {
        return lanesOffset + number * laneStride;
    }

    /** Fletcher-64 (section 8) over whole words. */
    static final class Sum {
        private long a, b;

        void add(byte[] bytes) {
            ByteBuffer words = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
            while (words.hasRemaining()) {
                a = (a + (words.getInt() & 0xFFFFFFFFL)) % 0xFFFFFFFFL;
                b = (b + a) % 0xFFFFFFFFL;
            }
        }

        long value() {
            return b << 32 | a;
        }
    }
}
