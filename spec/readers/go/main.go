// SPDX-License-Identifier: MIT OR Apache-2.0

// The command of CONFORMANCE.md:  reader [--repeat N] FILE
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"unicode/utf8"
)

type object map[string]any

var (
	types    = []string{"unknown", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64", "bool", "text", "bytes"}
	kinds    = []string{"unknown", "counter", "gauge", "info", "state", "histogram", "average", "timer", "events", "window", "rate", "timestamp", "activity", "running"}
	aggs     = []string{"unknown", "sum", "min", "max", "mean", "each"}
	storages = []string{"unknown", "constant", "atomic", "latched", "journal", "table"}
	states   = []string{"never", "owned", "returned", "damaged"}
)

func name(names []string, code byte) string {
	if int(code) < len(names) {
		return names[code]
	}
	return names[0]
}

func document(m memory) (object, error) {
	i, err := open(m)
	if err != nil {
		return nil, err
	}
	lanes, seen := []*lane{}, []string{}
	for number := uint64(0); number < i.lanesUsed; number++ {
		l := newLane(i, number)
		state := l.state
		if state > 3 {
			state = 3
		}
		lanes, seen = append(lanes, l), append(seen, states[state])
	}
	fields := []object{}
	for _, f := range i.fields() {
		fields = append(fields, showField(f, lanes))
	}
	state := "live"
	if i.state == 3 {
		state = "closed"
	}
	return object{
		"format": fmt.Sprintf("3.%d", i.minor), "state": state, "instance": hex.EncodeToString(i.instance),
		"part": strconv.FormatUint(uint64(i.part), 10), "lanes": seen, "fields": fields,
	}, nil
}

func showField(f *field, lanes []*lane) object {
	if f.damage != nil {
		return object{"damaged": f.damage.Error()}
	}
	level := "debug"
	if f.level < 2 {
		level = []string{"info", "diagnostic"}[f.level]
	}
	out := object{
		"label": f.label, "unit": f.unit, "help": f.help, "attributes": f.attributes,
		"type": name(types, f.typ), "kind": name(kinds, f.kind), "aggregation": name(aggs, f.rule),
		"storage": name(storages, f.storage), "level": level, "count": strconv.FormatUint(f.count, 10),
		"param": strconv.FormatUint(f.param, 10), "detail": f.detail,
	}
	switch {
	case f.state == 2:
		out["retired"] = true
	case !f.known() || !f.knownStorage():
	case f.storage == constant:
		out["value"] = verdict(showValue(f, f.value))
	default:
		values := []object{}
		for _, l := range lanes {
			values = append(values, verdict(inLane(f, l)))
		}
		out["lanes"] = values
	}
	return out
}

// verdict is a value, or why there is none.
func verdict(value object, err error) object {
	var code broken
	switch {
	case errors.As(err, &code):
		return object{"verdict": "damaged", "code": string(code)}
	case err != nil:
		return object{"verdict": "contended"}
	}
	return value
}

func inLane(f *field, l *lane) (object, error) {
	if l.state > 2 {
		return nil, broken("lane-state")
	}
	if l.state == 0 || !l.has(f) {
		return object{"verdict": "absent"}, nil
	}
	switch f.storage {
	case atomicCell:
		bytes, err := l.atomic(f)
		if err != nil {
			return nil, err
		}
		return showValue(f, bytes)
	case latched:
		slot, err := l.slot(f)
		if err != nil {
			return nil, err
		}
		return showValue(f, slot[f.member:])
	case table:
		return showTable(f, l), nil
	}
	elements, words, err := l.journal(f)
	if err != nil {
		return nil, err
	}
	return object{"u64": decimal(elements), "total": decimal(words[:1])[0], "words": decimal(words[2:])}, nil
}

func showTable(f *field, l *lane) object {
	shown := []object{}
	rows, refused := l.rows(f)
	for _, r := range rows {
		out := object{}
		if r.slot == nil {
			out = verdict(nil, errContended)
		} else if out = verdict(showValue(f, r.slot[f.member:])); out["verdict"] == nil {
			out["since"] = strconv.FormatUint(binary.LittleEndian.Uint64(r.slot), 10)
			out["number"] = strconv.FormatUint(binary.LittleEndian.Uint64(r.slot[8:]), 10)
		}
		out["row"] = strconv.FormatUint(r.number, 10)
		shown = append(shown, out)
	}
	return object{"rows": shown, "refused": strconv.FormatUint(refused, 10)}
}

func decimal(numbers []uint64) []string {
	out := []string{}
	for _, n := range numbers {
		out = append(out, strconv.FormatUint(n, 10))
	}
	return out
}

// showValue shows a value in the form of heap and slots.
func showValue(f *field, bytes []byte) (object, error) {
	key := types[f.typ]
	if f.isBlob() {
		length := uint64(binary.LittleEndian.Uint32(bytes))
		if length > f.count {
			return nil, broken("value-length")
		}
		blob, cut := bytes[8:8+length], bytes[4]&1 == 1
		if f.typ == tBytes {
			return object{key: hex.EncodeToString(blob), "cut": cut}, nil
		}
		if !utf8.Valid(blob) {
			return nil, broken("value-utf8")
		}
		return object{key: string(blob), "cut": cut}, nil
	}
	elements := []string{}
	for i := uint64(0); i < f.count; i++ {
		text, err := showElement(f, bytes[i*sizes[f.typ]:])
		if err != nil {
			return nil, err
		}
		elements = append(elements, text)
	}
	if f.kind == kState {
		if n, err := strconv.Atoi(elements[0]); err != nil || n >= len(f.detail) {
			return nil, broken("value-range")
		}
	}
	if f.isArray() {
		return object{key: elements}, nil
	}
	return object{key: elements[0]}, nil
}

func showElement(f *field, bytes []byte) (string, error) {
	var n uint64
	size := sizes[f.typ]
	for i := size; i > 0; i-- {
		n = n<<8 | uint64(bytes[i-1])
	}
	switch {
	case f.typ == tF32 || f.typ == tF64:
		return fmt.Sprintf("%0*x", 2*size, n), nil
	case f.typ == tBool && n > 1:
		return "", broken("value-range")
	case f.typ == tBool:
		return strconv.FormatBool(n == 1), nil
	case f.typ >= tI8 && f.typ <= tI64:
		unused := 64 - 8*size
		return strconv.FormatInt(int64(n<<unused)>>unused, 10), nil
	}
	return strconv.FormatUint(n, 10), nil
}

func run() (status int) {
	words := os.Args[1:]
	times := 1
	if len(words) == 3 && words[0] == "--repeat" {
		times, _ = strconv.Atoi(words[1])
		words = words[2:]
	}
	if len(words) != 1 {
		fmt.Fprintln(os.Stderr, "usage: reader [--repeat N] FILE")
		return 3
	}
	// A file that is cut short while it is mapped ends in a panic that can be caught.
	debug.SetPanicOnFault(true)
	defer func() {
		if what := recover(); what != nil {
			fmt.Fprintln(os.Stderr, "the file was cut short while it was read:", what)
			status = 3
		}
	}()
	m, err := mapFile(words[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for n := 0; n < times; n++ {
		shown, err := look(m, func() (object, error) { return document(m) })
		if err == errUnsettled {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		if err != nil {
			shown = object{"refused": err.Error()}
			status = 1
		}
		if encoder.Encode(shown) != nil || out.Flush() != nil {
			return 3
		}
		if err != nil {
			return 1
		}
	}
	return 0
}

func main() {
	os.Exit(run())
}
