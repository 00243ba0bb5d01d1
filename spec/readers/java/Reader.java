// SPDX-License-Identifier: MIT OR Apache-2.0
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The command of CONFORMANCE.md:  Reader [--repeat N] FILE, or Reader --stdin */
public final class Reader {
    private static final String[] TYPES = {"unknown", "u8", "u16", "u32", "u64", "i8", "i16", "i32",
        "i64", "f32", "f64", "bool", "text", "bytes"};
    private static final String[] KINDS = {"unknown", "counter", "gauge", "info", "state", "histogram",
        "average", "timer", "events", "window", "rate", "timestamp", "activity", "running"};
    private static final String[] RULES = {"unknown", "sum", "min", "max", "mean", "each"};
    private static final String[] STORAGES = {"unknown", "constant", "atomic", "latched", "journal", "table"};
    private static final String[] LEVELS = {"info", "diagnostic", "debug"};
    private static final String[] LANES = {"never", "owned", "returned", "damaged"};

    private Reader() {
    }

    public static void main(String[] arguments) throws IOException {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        if (arguments.length == 1 && arguments[0].equals("--stdin")) {
            answer(out);
            return;
        }
        boolean repeat = arguments.length == 3 && arguments[0].equals("--repeat");
        if (!repeat && arguments.length != 1) {
            System.err.println("usage: Reader [--repeat N] FILE");
            System.exit(3);
        }
        long times = repeat ? Long.parseLong(arguments[1]) : 1;
        System.exit(read(arguments[arguments.length - 1], times, out));
    }

    /** A line for each path of the standard input: the exit code and the document. */
    private static void answer(PrintStream out) throws IOException {
        BufferedReader paths = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String path = paths.readLine(); path != null; path = paths.readLine()) {
            ByteArrayOutputStream said = new ByteArrayOutputStream();
            int code = read(path, 1, new PrintStream(said, false, StandardCharsets.UTF_8));
            out.println(code + " " + said.toString(StandardCharsets.UTF_8).strip());
            out.flush();
        }
    }

    /** Prints the documents of a file; returns the exit code. */
    private static int read(String path, long times, PrintStream out) {
        try {
            Words words = Words.map(Path.of(path));
            if (words == null) {
                System.err.println("a buffer of Java holds less than 2 GiB");
                return 2;
            }
            for (long n = 0; n < times; n++) {
                StringBuilder json = new StringBuilder();
                write(json, Image.look(words, () -> document(new Image(words))));
                out.println(json);
                out.flush();
            }
            return 0;
        } catch (Broken refused) {
            out.println("{\"refused\": \"" + refused.code + "\"}");
            out.flush();
            return 1;
        } catch (Lane.Contended contended) {
            System.err.println("room of fields was used again during each look");
            return 2;
        } catch (IOException | InternalError error) {
            // InternalError: the file was cut short while it was mapped.
            System.err.println(error.getMessage());
            return 3;
        }
    }

    private static Map<String, Object> document(Image image) {
        List<Lane> lanes = new ArrayList<>();
        List<String> states = new ArrayList<>();
        for (int number = 0; number < image.lanesUsed; number++) {
            Lane lane = new Lane(image, number);
            lanes.add(lane);
            states.add(LANES[(int) Math.min(lane.state, 3)]);
        }
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("format", "3." + image.minor);
        out.put("state", image.state == 3 ? "closed" : "live");
        out.put("instance", HexFormat.of().formatHex(image.instance));
        out.put("part", Long.toString(image.part));
        out.put("lanes", states);
        out.put("fields", image.fields().stream().map(f -> field(f, lanes)).toList());
        return out;
    }

    private static String name(String[] names, int code) {
        return names[code < names.length ? code : 0];
    }

    private static Map<String, Object> field(Field f, List<Lane> lanes) {
        if (f.damage != null) {
            return Map.of("damaged", f.damage);
        }
        Map<String, Object> out = new LinkedHashMap<>();
        for (String name : List.of("label", "unit", "help")) {
            out.put(name, f.text.get(name));
        }
        out.put("attributes", f.attributes);
        out.put("type", name(TYPES, f.type));
        out.put("kind", name(KINDS, f.kind));
        out.put("aggregation", name(RULES, f.rule));
        out.put("storage", name(STORAGES, f.storage));
        out.put("level", LEVELS[Math.min(f.level, 2)]);
        out.put("count", Long.toString(f.count));
        out.put("param", Long.toString(f.param));
        out.put("detail", f.detail);
        if (f.state == 2) {
            out.put("retired", true);
        } else if (f.known() && f.storage == Field.CONSTANT) {
            out.put("value", checked(() -> value(f, f.constant)));
        } else if (f.known() && f.knownStorage()) {
            out.put("lanes", lanes.stream().map(lane -> checked(() -> inLane(f, lane))).toList());
        }
        return out;
    }

    /** Returns a value or throws the reason. */
    private interface Read {
        Map<String, Object> value() throws Broken, Lane.Contended;
    }

    private static Map<String, Object> checked(Read read) {
        try {
            return read.value();
        } catch (Broken broken) {
            return Map.of("verdict", "damaged", "code", broken.code);
        } catch (Lane.Contended contended) {
            return Map.of("verdict", "contended");
        }
    }

    private static Map<String, Object> inLane(Field f, Lane lane) throws Broken, Lane.Contended {
        Broken.unless(lane.state <= 2, "lane-state");
        if (lane.state == 0 || !lane.has(f)) {
            return Map.of("verdict", "absent");
        }
        if (f.storage == Field.ATOMIC) {
            return value(f, lane.atomic(f));
        }
        if (f.storage == Field.LATCHED) {
            byte[] slot = lane.slot(f);
            return value(f, Arrays.copyOfRange(slot, (int) f.member, slot.length));
        }
        if (f.storage == Field.TABLE) {
            List<Map<String, Object>> rows = new ArrayList<>();
            for (long number : lane.rows(f)) {
                Map<String, Object> row = new LinkedHashMap<>();
                row.put("row", Long.toString(number));
                row.putAll(checked(() -> row(f, lane.row(f, number))));
                rows.add(row);
            }
            return Map.of("rows", rows, "refused", Long.toUnsignedString(lane.refused(f)));
        }
        long[][] journal = lane.journal(f);
        List<String> words = unsigned(journal[1]);
        return Map.of("u64", unsigned(journal[0]), "total", words.get(0), "words", words.subList(2, words.size()));
    }

    /** The value of a row of a table from its slot. */
    private static Map<String, Object> row(Field f, byte[] slot) throws Broken {
        ByteBuffer b = ByteBuffer.wrap(slot).order(ByteOrder.LITTLE_ENDIAN);
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("since", Long.toUnsignedString(b.getLong(0)));
        out.put("number", Long.toUnsignedString(b.getLong(8)));
        out.putAll(value(f, Arrays.copyOfRange(slot, (int) f.member, slot.length)));
        return out;
    }

    private static List<String> unsigned(long[] numbers) {
        return Arrays.stream(numbers).mapToObj(Long::toUnsignedString).toList();
    }

    /** A value in the form of heap and slots. */
    private static Map<String, Object> value(Field f, byte[] bytes) throws Broken {
        ByteBuffer b = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        String name = TYPES[f.type];
        if (f.isBlob()) {
            long length = Image.u32(b, 0);
            Broken.unless(length <= f.count, "value-length");
            byte[] blob = Arrays.copyOfRange(bytes, 8, 8 + (int) length);
            String text = f.type == Field.TEXT ? Field.utf8(blob, "value-utf8") : HexFormat.of().formatHex(blob);
            return Map.of(name, text, "cut", (b.getInt(4) & 1) != 0);
        }
        List<String> elements = new ArrayList<>();
        for (int i = 0; i < f.count; i++) {
            elements.add(element(f, b, i * Field.SIZES[f.type]));
        }
        if (f.kind == Field.STATE) {
            Broken.unless(Long.parseLong(elements.get(0)) < f.detail.size(), "value-range");
        }
        return Map.of(name, f.isArray() ? elements : elements.get(0));
    }

    private static String element(Field f, ByteBuffer b, int at) throws Broken {
        switch (f.type) {
            case 1: return Integer.toString(b.get(at) & 0xFF);
            case 2: return Integer.toString(b.getShort(at) & 0xFFFF);
            case 3: return Integer.toUnsignedString(b.getInt(at));
            case 4: return Long.toUnsignedString(b.getLong(at));
            case 5: return Integer.toString(b.get(at));
            case 6: return Integer.toString(b.getShort(at));
            case 7: return Integer.toString(b.getInt(at));
            case 8: return Long.toString(b.getLong(at));
            case 9: return HexFormat.of().toHexDigits(b.getInt(at));
            case 10: return HexFormat.of().toHexDigits(b.getLong(at));
            default:
                Broken.unless(b.get(at) == 0 || b.get(at) == 1, "value-range");
                return b.get(at) == 1 ? "true" : "false";
        }
    }

    /** Maps, lists, texts and truth values as JSON. */
    private static void write(StringBuilder out, Object value) {
        if (value instanceof Map<?, ?> map) {
            String between = "{";
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                out.append(between);
                write(out, entry.getKey());
                out.append(": ");
                write(out, entry.getValue());
                between = ", ";
            }
            out.append(map.isEmpty() ? "{}" : "}");
        } else if (value instanceof List<?> list) {
            out.append('[');
            String between = "";
            for (Object element : list) {
                out.append(between);
                write(out, element);
                between = ", ";
            }
            out.append(']');
        } else if (value instanceof String text) {
            out.append('"');
            for (char c : text.toCharArray()) {
                if (c == '"' || c == '\\') {
                    out.append('\\').append(c);
                } else if (c < 0x20 || c == 0x7F) {
                    out.append(String.format("\\u%04x", (int) c));
                } else {
                    out.append(c);
                }
            }
            out.append('"');
        } else {
            out.append(value);
        }
    }
}
