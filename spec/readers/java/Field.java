// SPDX-License-Identifier: MIT OR Apache-2.0
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A descriptor: FORMAT.md sections 4 to 6, and section 10.2. */
final class Field {
    static final int U32 = 3, U64 = 4, I8 = 5, I64 = 8, F32 = 9, F64 = 10, BOOL = 11, TEXT = 12, BYTES = 13;
    static final int[] SIZES = {0, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 1, 1, 1};
    static final int COUNTER = 1, STATE = 4, HISTOGRAM = 5, AVERAGE = 6, TIMER = 7, EVENTS = 8,
            WINDOW = 9, RATE = 10, TIMESTAMP = 11, ACTIVITY = 12, RUNNING = 13;
    static final int CONSTANT = 1, ATOMIC = 2, LATCHED = 3, JOURNAL = 4, TABLE = 5;
    /** Where row 0 of a table is. */
    static final int ROWS = 32;
    static final int OPTIONAL = 1, ARRAY = 2, MEMBER = 4;
    private static final String[] STRINGS = {"label", "unit", "help", "attributes", "detail"};
    private static final int[] STRING_AT = {0, 4, 8, 12, 44};
    private static final int[] STRING_LIMIT = {255, 63, 4096, 4096, 4096};
    private static final Pattern ATTRIBUTE = Pattern.compile("([A-Za-z0-9_.-]{1,63})=(.*)", Pattern.DOTALL);
    private static final Pattern SECONDS = Pattern.compile("[0-9]{1,6}");

    final Image image;
    final int index, type, kind, rule, storage, slotBits, level, flags;
    final long count, place, slotSize, member, param, state;
    final Map<String, String> text = new LinkedHashMap<>();
    Map<String, String> attributes = Map.of();
    List<String> detail = List.of();
    /** A constant's bytes; null where its place or size is not known. */
    byte[] constant;
    String damage;
    private final byte[] raw;

    Field(Image image, int index) {
        this.image = image;
        this.index = index;
        long at = image.descriptorOffset + index * image.descriptorSize;
        state = image.words.u32(at + 48);
        raw = image.words.copy(at, 64);
        ByteBuffer d = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN);
        type = raw[16] & 0xFF;
        kind = raw[17] & 0xFF;
        rule = raw[18] & 0xFF;
        storage = raw[19] & 0xFF;
        count = Image.u32(d, 20);
        place = Image.u32(d, 24);
        slotSize = Image.u32(d, 28);
        member = Image.u32(d, 32);
        slotBits = raw[36] & 0xFF;
        level = raw[37] & 0xFF;
        flags = d.getShort(38) & 0xFFFF;
        param = Image.u32(d, 40);
    }

    /** State carried from one descriptor to the next. */
    static final class Walk {
        long cellsEnd, membersEnd, constants;
        List<Long> group;
        Field before;

        Walk(long cellsOffset) {
            cellsEnd = cellsOffset;
        }
    }

    boolean known() {
        return type >= 1 && type <= BYTES;
    }

    boolean knownStorage() {
        return storage >= CONSTANT && storage <= TABLE;
    }

    boolean isBlob() {
        return type == TEXT || type == BYTES;
    }

    boolean isArray() {
        return (flags & ARRAY) != 0;
    }

    long slots() {
        return slotBits >= 1 && slotBits <= 16 ? 1L << slotBits : 0;
    }

    /** Of a row of a table. */
    long rowSize() {
        return 8 + slots() * slotSize;
    }

    /** Of a value in slot or heap; of an unknown type 8. */
    long valueSize() {
        return !known() ? 8 : isBlob() ? 8 + count : count * SIZES[type];
    }

    private boolean goodCount() {
        if (isBlob()) {
            return count >= 1 && count <= 1_048_560;
        }
        return isArray() ? count >= 1 && valueSize() <= 1_048_576 : count == 1;
    }

    private boolean canHaveRate() {
        return damage == null && kind == COUNTER && type == U64 && !isArray()
                && (storage == ATOMIC || storage == LATCHED);
    }

    void check(Walk walk) throws Broken {
        Broken.unless(state == 1 || state == 2, "field-state");
        ByteBuffer d = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN);
        Image.Sum sum = new Image.Sum();
        sum.add(Arrays.copyOf(raw, 48));
        byte[][] strings = new byte[STRINGS.length][];
        for (int i = 0; i < STRINGS.length; i++) {
            long at = Image.u32(d, STRING_AT[i]);
            if (at == 0 && i > 0) {
                continue;
            }
            Broken.unless(at % 4 == 0 && image.inHeap(at, 4), "string-place");
            int length = (int) (image.words.u32(at) & 0xFFFF);
            long whole = Image.up(2 + length, 4);
            Broken.unless(length >= 1 && length <= STRING_LIMIT[i] && image.inHeap(at, whole), "string-length");
            byte[] bytes = image.words.copy(at, whole);
            sum.add(bytes);
            strings[i] = Arrays.copyOfRange(bytes, 2, 2 + length);
        }
        if (storage == CONSTANT) {
            constant = findConstant(walk);
            if (constant != null) {
                sum.add(constant);
            }
        }
        if (storage != CONSTANT || constant != null) {
            Broken.unless(sum.value() == d.getLong(56), "field-checksum");
        }
        for (int i = 0; i < STRINGS.length; i++) {
            text.put(STRINGS[i], strings[i] == null ? "" : utf8(strings[i], "utf8"));
        }
        attributes = findAttributes(text.get("attributes"));
        detail = text.get("detail").isEmpty() ? List.of() : List.of(text.get("detail").split("\0", -1));
        Broken.unless(!known() || goodCount(), "count");
        Broken.unless(storage != JOURNAL || count >= 2 && count <= 65_536, "count");
        int bits = flags & (OPTIONAL | ARRAY | MEMBER);
        Broken.unless(!(isBlob() && isArray())
                && !(storage == CONSTANT && (bits & (OPTIONAL | MEMBER)) != 0)
                && !(storage == ATOMIC && ((bits & (ARRAY | MEMBER)) != 0 || isBlob()))
                && !(storage == JOURNAL && (bits != ARRAY || known() && type != U64))
                && !(storage == TABLE && (bits != 0 || known() && type != TEXT)), "type-storage");
        Broken.unless(!known() || kindAllows(), "kind-type");
        Broken.unless(goodParam(walk.before), "kind-param");
        checkPlace(walk);
    }

    static String utf8(byte[] bytes, String code) throws Broken {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
        } catch (CharacterCodingException notUtf8) {
            throw new Broken(code);
        }
    }

    private static Map<String, String> findAttributes(String all) throws Broken {
        Map<String, String> attributes = new LinkedHashMap<>();
        if (!all.isEmpty()) {
            for (String item : all.split("\0", -1)) {
                Matcher match = ATTRIBUTE.matcher(item);
                Broken.unless(match.matches() && attributes.put(match.group(1), match.group(2)) == null,
                        "attributes");
            }
        }
        return attributes;
    }

    private byte[] findConstant(Walk walk) throws Broken {
        if (!known() || !goodCount() || place % 8 != 0) {
            return null;
        }
        long size = valueSize();
        if (isBlob()) {
            if (!image.inHeap(place, 8)) {
                return null;
            }
            size = 8 + Math.min(image.words.u32(place), count);
        }
        size = Image.up(size, 8);
        if (!image.inHeap(place, size)) {
            return null;
        }
        // They do not overlap: this bounds the work.
        walk.constants += size;
        Broken.unless(walk.constants <= 2 * image.heapUsed, "cell-overlap");
        return image.words.copy(place, size);
    }

    private boolean in(int wanted) {
        return storage == wanted || !knownStorage();
    }

    private boolean kindAllows() {
        boolean wide = type == U64 || type == I64 || type == F64;
        if (storage == TABLE && kind >= COUNTER && kind <= RUNNING && kind != ACTIVITY) {
            return false;
        }
        switch (kind) {
            case RUNNING: return type == U64 && !isArray() && storage != JOURNAL;
            case ACTIVITY: return type == TEXT && in(TABLE);
            case COUNTER: return type <= U64 || type == F32 || type == F64;
            case STATE: return type <= U32 && !isArray() && storage != JOURNAL;
            case HISTOGRAM: return type == U64 && isArray() && count >= 3 && in(JOURNAL);
            case AVERAGE: return wide && isArray() && count == 2 && storage != JOURNAL;
            case TIMER: return type == U64 && isArray() && count == 5 && storage != JOURNAL;
            case EVENTS: return type == TEXT && in(LATCHED);
            case WINDOW: return wide && !isArray() && in(LATCHED);
            case RATE: return type == U64 && isArray() && count == 2 && in(LATCHED);
            case TIMESTAMP: return (type == U64 || type == I64) && !isArray() && storage != JOURNAL;
            default: return true;
        }
    }

    private boolean goodParam(Field before) {
        if (kind == ACTIVITY || storage == TABLE) {
            return member == 16 && param >= 1 && param <= 64;
        }
        switch (kind) {
            case STATE:
                return detail.size() >= 1 && detail.size() <= 1024 && detail.stream().allMatch(name -> {
                    int length = name.getBytes(StandardCharsets.UTF_8).length;
                    return length >= 1 && length <= 63;
                });
            case HISTOGRAM: {
                int scale = (byte) param;
                long values = param >> 8 & 0xFF;
                return scale >= -4 && scale <= 8 && (values == U64 || values == F64) && slotSize >= 40 && count >= 3;
            }
            case EVENTS: return member == 8;
            case WINDOW: return param >= 1 && param <= slots() - 2;
            case RATE:
                return before != null && before.canHaveRate() && param >= 1
                        && detail.size() >= 1 && detail.size() <= 8
                        && detail.stream().allMatch(s -> SECONDS.matcher(s).matches() && Integer.parseInt(s) > 0);
            default: return true;
        }
    }

    /** The rules from slots to cell-overlap. */
    private void checkPlace(Walk walk) throws Broken {
        if (!knownStorage()) {
            return; // As if it was not there: a group continues after it.
        }
        if (storage >= LATCHED) {
            long least = storage == JOURNAL ? 16 : 8;
            Broken.unless(slots() > 0 && slotSize % 8 == 0 && slotSize >= least && slotSize <= 1_048_576, "slots");
        } else {
            Broken.unless(slotBits == 0 && slotSize == 0, "slots");
        }
        List<Long> key = null;
        boolean inGroup = false;
        if (storage == LATCHED || storage == TABLE) {
            if ((flags & MEMBER) != 0) {
                key = cell();
                inGroup = key.equals(walk.group);
            }
            boolean inside = known() ? member + valueSize() <= slotSize : member < slotSize;
            Broken.unless(member % 8 == 0 && inside && !(inGroup && member < walk.membersEnd), "member");
        } else {
            Broken.unless(member == 0, "member");
        }
        if (storage == CONSTANT) {
            Broken.unless(place % 8 == 0 && (constant != null || !known()) && image.inHeap(place, 1), "cell-place");
        } else {
            long end = place + 8 + slots() * slotSize + (storage == JOURNAL ? 8 * count : 0);
            if (storage == TABLE) {
                end = place + ROWS + param * rowSize();
            }
            Broken.unless(place % 8 == 0 && place >= image.cellsOffset && end <= image.laneStride, "cell-place");
            Broken.unless(inGroup || place >= walk.cellsEnd, "cell-overlap");
            walk.cellsEnd = end;
        }
        walk.group = key;
        walk.membersEnd = Image.up(member + valueSize(), 8);
    }

    /** What members of a group have in common. */
    List<Long> cell() {
        return List.of(place, (long) slotBits, slotSize);
    }
}
