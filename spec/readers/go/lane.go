// SPDX-License-Identifier: MIT OR Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"runtime"
	"time"
)

const (
	attempts = 16
	// tooLong: after this seq may have come round (PROTOCOL.md section 2.3).
	tooLong = 2 * time.Second
)

var errContended = errors.New("contended")

// lane is one lane, and the slots that were read from it: the members of a group come from one.
type lane struct {
	image    *image
	base     uint64
	state    uint32
	presence []byte
	slots    map[cellKey][]byte
}

func newLane(i *image, number uint64) *lane {
	base := i.lanesOffset + number*i.laneStride
	state := i.u32(base)
	// Before the first value, so that a bit that is seen belongs to a value that is older.
	return &lane{i, base, state, i.copy(base+64, i.presenceBytes), map[cellKey][]byte{}}
}

func (l *lane) has(f *field) bool {
	return f.flags&optional == 0 || l.presence[f.index/8]>>(f.index%8)&1 != 0
}

// atomic is the scalar of an atomic cell, in the form of a slot.
func (l *lane) atomic(f *field) ([]byte, error) {
	cell := l.base + f.place
	out := make([]byte, 8)
	if sizes[f.typ] == 8 {
		binary.LittleEndian.PutUint64(out, l.image.u64(cell))
		return out, nil
	}
	word := l.image.u32(cell)
	wide := word
	signed := f.typ >= tI8 && f.typ <= tI64
	switch size := sizes[f.typ]; {
	case size == 1 && signed:
		wide = uint32(int32(int8(word)))
	case size == 1:
		wide = uint32(uint8(word))
	case size == 2 && signed:
		wide = uint32(int32(int16(word)))
	case size == 2:
		wide = uint32(uint16(word))
	}
	if wide != word {
		return nil, broken("value-range")
	}
	binary.LittleEndian.PutUint32(out, word)
	return out, nil
}

func slotAt(f *field, cell uint64, number uint32) uint64 {
	return cell + 8 + uint64(number)%f.slots()*f.slotSize
}

// slot is the newest one: PROTOCOL.md section 2.2. Go's atomic loads are sequentially consistent
// among themselves, which is more than the two fences ask for.
func (l *lane) slot(f *field) ([]byte, error) {
	if known, ok := l.slots[f.cell()]; ok {
		return known, nil
	}
	slot, err := l.slotOf(f, l.base+f.place)
	if err == nil {
		l.slots[f.cell()] = slot
	}
	return slot, err
}

func (l *lane) slotOf(f *field, cell uint64) ([]byte, error) {
	m := l.image.memory
	for attempt := 0; attempt < attempts; attempt++ {
		begin := time.Now()
		a := m.u32(cell)                               // R1
		slot := m.copy(slotAt(f, cell, a), f.slotSize) // R3
		b := m.u32(cell)                               // R5
		if uint64(b-a) <= f.slots()-2 && time.Since(begin) <= tooLong {
			return slot, nil
		}
		runtime.Gosched()
	}
	return nil, errContended
}

// row is the slot of a row in use of a table, nil if it is contended.
type row struct {
	number uint64
	slot   []byte
}

// rows are those in use, and how many were refused: PROTOCOL.md section 11.3.
func (l *lane) rows(f *field) (rows []row, refused uint64) {
	cell, m := l.base+f.place, l.image.memory
	used := uint64(m.u32(cell)) | uint64(m.u32(cell+4))<<32
	for number := uint64(0); number < f.param; number++ {
		if l.state == 1 && used>>number&1 == 1 {
			slot, _ := l.slotOf(f, cell+tableRows+number*f.rowSize())
			rows = append(rows, row{number, slot})
		}
	}
	return rows, m.u64(cell + 16)
}

// journal is the elements, and the words of the newest slot: PROTOCOL.md section 9.2.
func (l *lane) journal(f *field) (e, slot []uint64, err error) {
	cell, m, slots := l.base+f.place, l.image.memory, f.slots()
	tail := cell + 8 + slots*f.slotSize
	for attempt := 0; attempt < attempts; attempt++ {
		begin := time.Now()
		a := m.u32(cell)          // K1
		e = m.u64s(tail, f.count) // K3
		b := m.u32(cell)          // K5
		moved := b - a
		if uint64(moved) > slots-2 {
			continue
		}
		heads := make([][]uint64, moved+1) // K7
		for n := range heads {
			heads[n] = m.u64s(slotAt(f, cell, a+uint32(n)+1), 2)
		}
		slot = m.u64s(slotAt(f, cell, b), f.slotSize/8)
		c := m.u32(cell) // K9
		if uint64(c-a) > slots-2 || time.Since(begin) > tooLong {
			continue
		}
		for _, head := range heads[:moved] { // K10
			if i := head[1] & 0xFFFF; i < f.count {
				// The nearest number with these low 48 bits.
				e[i] += uint64(int64((head[1]>>16-e[i])<<16) >> 16)
			}
		}
		total, elements := slot[0], uint64(0)
		for _, v := range e {
			elements += v
		}
		if elements == total { // K11
			return e, slot, nil
		}
		next := heads[moved] // K12
		if i := next[1] & 0xFFFF; i < f.count {
			old := total - (elements - e[i])
			if (old+next[0]-total-next[1]>>16)<<16 == 0 {
				e[i] = old
				return e, slot, nil
			}
		}
		if c == a { // K13
			return nil, nil, broken("value-total")
		}
		runtime.Gosched()
	}
	return nil, nil, errContended
}
