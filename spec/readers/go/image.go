// SPDX-License-Identifier: MIT OR Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"
)

// broken is the code of a rule of FORMAT.md section 10.
type broken string

func (b broken) Error() string { return string(b) }

// rules remembers the first rule that is broken.
type rules struct{ first error }

func (r *rules) must(holds bool, code string) {
	if !holds && r.first == nil {
		r.first = broken(code)
	}
}

var magic = []byte{0x89, 'M', 'M', 'S', '\r', '\n', 0x1A, '\n'}

// image is an image whose header passed the checks: FORMAT.md section 3.
type image struct {
	memory
	minor                                                uint16
	instance                                             []byte
	part                                                 uint32
	descriptorOffset, descriptorCapacity, descriptorSize uint64
	heapOffset, heapSize                                 uint64
	lanesOffset, laneStride, laneCapacity, cellsOffset   uint64
	presenceBytes                                        uint64
	state                                                uint32
	fieldCount, heapUsed, lanesUsed                      uint64
}

// errUnsettled: room of fields was used again during each look.
var errUnsettled = errors.New("room of fields was used again during each look")

// look reads descriptors and values of one moment of the descriptions: PROTOCOL.md section 5.2.
func look[T any](m memory, read func() (T, error)) (T, error) {
	if m.size() < 192 {
		return read()
	}
	for attempt := 0; attempt < attempts; attempt++ {
		before := m.u32(156)      // Q1
		found, err := read()      // Q3
		if m.u32(156) == before { // Q5, Q6
			return found, err
		}
		time.Sleep(time.Millisecond) // the writer comes to an end meanwhile
	}
	var none T
	return none, errUnsettled
}

// open checks the header, in the order of section 10.
func open(m memory) (*image, error) {
	start := m.bytes
	if len(start) > 8 {
		start = start[:8]
	}
	if !bytes.Equal(start, magic[:len(start)]) {
		return nil, broken("bad-magic")
	}
	if m.size() < 192 {
		return nil, broken("too-short")
	}
	// A copy: the bytes that are checked are those that are used.
	h := m.copy(0, 128)
	u16 := func(at int) uint64 { return uint64(binary.LittleEndian.Uint16(h[at:])) }
	u32 := func(at int) uint64 { return uint64(binary.LittleEndian.Uint32(h[at:])) }
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(h[at:]) }
	var check sum
	check.add(h[:120])
	i := &image{
		memory: m, minor: uint16(u16(10)), instance: h[32:48], part: uint32(u32(48)),
		descriptorOffset: u32(56), descriptorCapacity: u32(60), descriptorSize: u16(64),
		heapOffset: u32(68), heapSize: u32(72), lanesOffset: u32(76), laneStride: u32(80),
		laneCapacity: u32(84), cellsOffset: u32(88),
	}
	i.presenceBytes = 8 * ((i.descriptorCapacity + 63) / 64)
	headerSize, fileSize := u16(14), u32(52)
	var r rules
	r.must(bytes.Equal(h[:8], magic), "bad-magic")
	r.must(u16(8) == 3, "unsupported-major")
	r.must(check.value() == u64(120), "header-checksum")
	r.must(u16(12) == 0, "unsupported-minor")
	r.must(u64(16) == 0, "required-features")
	r.must(headerSize >= 192 && headerSize%64 == 0 && headerSize <= m.size(), "header-size")
	r.must(fileSize <= m.size(), "file-size")
	r.must(i.descriptorSize >= 64 && i.descriptorSize%8 == 0, "descriptor-size")
	r.must(i.descriptorCapacity <= 16777216 && i.laneCapacity >= 1 && i.laneCapacity <= 65536, "limit")
	r.must(i.descriptorOffset%8 == 0 && i.heapOffset%8 == 0 && i.heapSize%8 == 0 &&
		i.lanesOffset%64 == 0 && i.laneStride%64 == 0 && i.cellsOffset%8 == 0, "alignment")
	r.must(i.descriptorOffset >= headerSize &&
		i.heapOffset >= i.descriptorOffset+i.descriptorCapacity*i.descriptorSize &&
		i.lanesOffset >= i.heapOffset+i.heapSize, "section-order")
	r.must(i.lanesOffset+i.laneCapacity*i.laneStride <= fileSize, "section-bounds")
	r.must(i.cellsOffset >= 64+i.presenceBytes && i.cellsOffset <= i.laneStride, "lane-layout")
	if r.first != nil {
		return nil, r.first
	}
	i.state = m.u32(128)
	r.must(i.state != 1, "building")
	r.must(i.state == 2 || i.state == 3, "bad-state")
	i.fieldCount = uint64(m.u32(132))
	i.heapUsed = uint64(m.u32(136))
	i.lanesUsed = uint64(m.u32(140))
	r.must(i.fieldCount <= i.descriptorCapacity, "field-count")
	r.must(i.heapUsed <= i.heapSize, "heap-used")
	r.must(i.lanesUsed <= i.laneCapacity, "lanes-used")
	return i, r.first
}

func (i *image) inHeap(at, size uint64) bool {
	return at >= i.heapOffset && at+size <= i.heapOffset+i.heapUsed
}

// fields are all of them; field.damage is the first rule that one breaks.
func (i *image) fields() []*field {
	var all []*field
	walk := walk{cellsEnd: i.cellsOffset}
	for index := uint64(0); index < i.fieldCount; index++ {
		f := newField(i, index)
		if err := f.check(&walk); err != nil {
			f.damage = err
		}
		walk.before = f
		all = append(all, f)
	}
	return all
}
