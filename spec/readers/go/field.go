// SPDX-License-Identifier: MIT OR Apache-2.0

package main

import (
	"encoding/binary"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	tU32, tU64, tI8, tI64, tF32, tF64, tBool, tText, tBytes = 3, 4, 5, 8, 9, 10, 11, 12, 13

	kCounter, kState, kHistogram, kAverage, kTimer = 1, 4, 5, 6, 7
	kEvents, kWindow, kRate, kTimestamp, kActivity = 8, 9, 10, 11, 12
	kRunning = 13

	constant, atomicCell, latched, journal, table = 1, 2, 3, 4, 5
	optional, array, member                       = 1, 2, 4

	// tableRows is where row 0 of a table is.
	tableRows = 32
)

var sizes = [...]uint64{0, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 1, 1, 1}

// field is a descriptor: FORMAT.md sections 4 to 6.
type field struct {
	image                                      *image
	index                                      uint64
	raw                                        []byte
	typ, kind, rule, storage, slotBits, level  byte
	flags                                      uint16
	count, place, slotSize, member, param      uint64
	state                                      uint32
	label, unit, help, attributesText, details string
	attributes                                 map[string]string
	detail                                     []string
	// value is a constant's bytes; nil where its place or size is not known.
	value  []byte
	damage error
}

// cellKey is what the members of a group have in common.
type cellKey struct {
	place, slotSize uint64
	slotBits        byte
}

// walk is the state carried from one descriptor to the next.
type walk struct {
	cellsEnd, membersEnd, constants uint64
	group                           *cellKey
	before                          *field
}

func newField(i *image, index uint64) *field {
	at := i.descriptorOffset + index*i.descriptorSize
	state := i.u32(at + 48)
	d := i.copy(at, 64)
	u32 := func(at int) uint64 { return uint64(binary.LittleEndian.Uint32(d[at:])) }
	return &field{
		image: i, index: index, raw: d, state: state,
		typ: d[16], kind: d[17], rule: d[18], storage: d[19], slotBits: d[36], level: d[37],
		flags: binary.LittleEndian.Uint16(d[38:]), count: u32(20), place: u32(24),
		slotSize: u32(28), member: u32(32), param: u32(40),
	}
}

func (f *field) known() bool        { return f.typ >= 1 && f.typ <= tBytes }
func (f *field) knownStorage() bool { return f.storage >= constant && f.storage <= table }
func (f *field) isBlob() bool       { return f.typ == tText || f.typ == tBytes }
func (f *field) isArray() bool      { return f.flags&array != 0 }
func (f *field) cell() cellKey      { return cellKey{f.place, f.slotSize, f.slotBits} }

func (f *field) slots() uint64 {
	if f.slotBits < 1 || f.slotBits > 16 {
		return 0
	}
	return 1 << f.slotBits
}

// rowSize is that of a row of a table.
func (f *field) rowSize() uint64 { return 8 + f.slots()*f.slotSize }

// valueSize is that of a value in slot or heap; of an unknown type 8.
func (f *field) valueSize() uint64 {
	switch {
	case !f.known():
		return 8
	case f.isBlob():
		return 8 + f.count
	default:
		return f.count * sizes[f.typ]
	}
}

func (f *field) goodCount() bool {
	switch {
	case f.isBlob():
		return f.count >= 1 && f.count <= 1048560
	case f.isArray():
		return f.count >= 1 && f.valueSize() <= 1048576
	default:
		return f.count == 1
	}
}

func (f *field) canHaveRate() bool {
	return f.damage == nil && f.kind == kCounter && f.typ == tU64 && !f.isArray() &&
		(f.storage == atomicCell || f.storage == latched)
}

// check is the order of section 10.2.
func (f *field) check(w *walk) error {
	if f.state != 1 && f.state != 2 {
		return broken("field-state")
	}
	var check sum
	check.add(f.raw[:48])
	strings := []struct {
		at, limit uint64
		to        *string
	}{{0, 255, &f.label}, {4, 63, &f.unit}, {8, 4096, &f.help}, {12, 4096, &f.attributesText}, {44, 4096, &f.details}}
	for _, s := range strings {
		place := uint64(binary.LittleEndian.Uint32(f.raw[s.at:]))
		if place == 0 && s.to != &f.label {
			continue
		}
		if place%4 != 0 || !f.image.inHeap(place, 4) {
			return broken("string-place")
		}
		length := uint64(f.image.u32(place) & 0xFFFF)
		whole := up(2+length, 4)
		if length < 1 || length > s.limit || !f.image.inHeap(place, whole) {
			return broken("string-length")
		}
		bytes := f.image.copy(place, whole)
		check.add(bytes)
		*s.to = string(bytes[2 : 2+length])
	}
	if f.storage == constant {
		if err := f.findConstant(w); err != nil {
			return err
		}
		check.add(f.value)
	}
	if (f.storage != constant || f.value != nil) && check.value() != binary.LittleEndian.Uint64(f.raw[56:]) {
		return broken("field-checksum")
	}
	for _, s := range strings {
		if !utf8.ValidString(*s.to) {
			return broken("utf8")
		}
	}
	if !f.findAttributes() {
		return broken("attributes")
	}
	f.findDetail()
	flags := f.flags & (optional | array | member)
	var r rules
	r.must(!f.known() || f.goodCount(), "count")
	r.must(f.storage != journal || f.count >= 2 && f.count <= 65536, "count")
	r.must(!(f.isBlob() && f.isArray()) &&
		!(f.storage == constant && flags&(optional|member) != 0) &&
		!(f.storage == atomicCell && (flags&(array|member) != 0 || f.isBlob())) &&
		!(f.storage == journal && (flags != array || f.known() && f.typ != tU64)) &&
		!(f.storage == table && (flags != 0 || f.known() && f.typ != tText)), "type-storage")
	r.must(!f.known() || f.kindAllows(), "kind-type")
	r.must(f.goodParam(w.before), "kind-param")
	if r.first != nil {
		return r.first
	}
	return f.checkPlace(w)
}

func (f *field) findConstant(w *walk) error {
	if !f.known() || !f.goodCount() || f.place%8 != 0 {
		return nil
	}
	size := f.valueSize()
	if f.isBlob() {
		if !f.image.inHeap(f.place, 8) {
			return nil
		}
		if length := uint64(f.image.u32(f.place)); length < f.count {
			size = 8 + length
		}
	}
	size = up(size, 8)
	if !f.image.inHeap(f.place, size) {
		return nil
	}
	// They do not overlap: this bounds the work.
	w.constants += size
	if w.constants > 2*f.image.heapUsed {
		return broken("cell-overlap")
	}
	f.value = f.image.copy(f.place, size)
	return nil
}

var keyForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,63}$`)

func (f *field) findAttributes() bool {
	f.attributes = map[string]string{}
	if f.attributesText == "" {
		return true
	}
	for _, item := range strings.Split(f.attributesText, "\x00") {
		key, value, found := strings.Cut(item, "=")
		_, twice := f.attributes[key]
		if !found || twice || !keyForm.MatchString(key) || strings.HasSuffix(key, "\n") {
			return false
		}
		f.attributes[key] = value
	}
	return true
}

func (f *field) findDetail() {
	f.detail = []string{}
	if f.details != "" {
		f.detail = strings.Split(f.details, "\x00")
	}
}

func (f *field) kindAllows() bool {
	wide := f.typ == tU64 || f.typ == tI64 || f.typ == tF64
	in := func(storage byte) bool { return f.storage == storage || !f.knownStorage() }
	if f.storage == table && f.kind >= kCounter && f.kind <= kRunning && f.kind != kActivity {
		return false
	}
	switch f.kind {
	case kCounter:
		return f.typ <= tU64 || f.typ == tF32 || f.typ == tF64
	case kState:
		return f.typ <= tU32 && !f.isArray() && f.storage != journal
	case kHistogram:
		return f.typ == tU64 && f.isArray() && f.count >= 3 && in(journal)
	case kAverage:
		return wide && f.isArray() && f.count == 2 && f.storage != journal
	case kTimer:
		return f.typ == tU64 && f.isArray() && f.count == 5 && f.storage != journal
	case kEvents:
		return f.typ == tText && in(latched)
	case kWindow:
		return wide && !f.isArray() && in(latched)
	case kRate:
		return f.typ == tU64 && f.isArray() && f.count == 2 && in(latched)
	case kTimestamp:
		return (f.typ == tU64 || f.typ == tI64) && !f.isArray() && f.storage != journal
	case kRunning:
		return f.typ == tU64 && !f.isArray() && f.storage != journal
	case kActivity:
		return f.typ == tText && in(table)
	}
	return true
}

func (f *field) goodParam(before *field) bool {
	if f.kind == kActivity || f.storage == table {
		return f.member == 16 && f.param >= 1 && f.param <= 64
	}
	every := func(good func(string) bool) bool {
		for _, item := range f.detail {
			if !good(item) {
				return false
			}
		}
		return true
	}
	switch f.kind {
	case kState:
		return len(f.detail) >= 1 && len(f.detail) <= 1024 &&
			every(func(name string) bool { return len(name) >= 1 && len(name) <= 63 })
	case kHistogram:
		scale, values := int8(f.param), f.param>>8&0xFF
		return scale >= -4 && scale <= 8 && (values == tU64 || values == tF64) && f.slotSize >= 40 && f.count >= 3
	case kEvents:
		return f.member == 8
	case kWindow:
		return f.param >= 1 && f.param+2 <= f.slots()
	case kRate:
		seconds := func(text string) bool {
			return len(text) >= 1 && len(text) <= 6 && strings.Trim(text, "0123456789") == "" &&
				strings.Trim(text, "0") != ""
		}
		return before != nil && before.canHaveRate() && f.param >= 1 &&
			len(f.detail) >= 1 && len(f.detail) <= 8 && every(seconds)
	}
	return true
}

// checkPlace is the rules from slots to cell-overlap.
func (f *field) checkPlace(w *walk) error {
	if !f.knownStorage() {
		return nil // As if it was not there: a group continues after it.
	}
	var r rules
	least := uint64(8)
	switch f.storage {
	case journal:
		least = 16
		fallthrough
	case latched, table:
		r.must(f.slots() > 0 && f.slotSize%8 == 0 && f.slotSize >= least && f.slotSize <= 1048576, "slots")
	default:
		r.must(f.slotBits == 0 && f.slotSize == 0, "slots")
	}
	var key *cellKey
	inGroup := false
	if f.storage == latched || f.storage == table {
		if f.flags&member != 0 {
			cell := f.cell()
			key = &cell
			inGroup = w.group != nil && *w.group == cell
		}
		inside := f.member < f.slotSize
		if f.known() {
			inside = f.member+f.valueSize() <= f.slotSize
		}
		r.must(f.member%8 == 0 && inside && !(inGroup && f.member < w.membersEnd), "member")
	} else {
		r.must(f.member == 0, "member")
	}
	end := w.cellsEnd
	if f.storage == constant {
		r.must(f.place%8 == 0 && (f.value != nil || !f.known()) && f.image.inHeap(f.place, 1), "cell-place")
	} else {
		end = f.place + 8 + f.slots()*f.slotSize
		if f.storage == journal {
			end += 8 * f.count
		} else if f.storage == table {
			end = f.place + tableRows + f.param*f.rowSize()
		}
		r.must(f.place%8 == 0 && f.place >= f.image.cellsOffset && end <= f.image.laneStride, "cell-place")
		r.must(inGroup || f.place >= w.cellsEnd, "cell-overlap")
	}
	if r.first != nil {
		return r.first
	}
	w.cellsEnd, w.group, w.membersEnd = end, key, up(f.member+f.valueSize(), 8)
	return nil
}
