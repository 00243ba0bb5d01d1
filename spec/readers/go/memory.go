// SPDX-License-Identifier: MIT OR Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// memory is the bytes of an image: a private copy of a short file, or a mapping that another
// process writes.
type memory struct {
	bytes []byte
}

// mapFile maps a regular file read-only.
func mapFile(path string) (memory, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return memory{}, err
	}
	defer file.Close()
	status, err := file.Stat()
	if err != nil {
		return memory{}, err
	}
	if !status.Mode().IsRegular() {
		return memory{}, fmt.Errorf("%s is not a regular file", path)
	}
	size := status.Size()
	if size == 0 {
		return memory{}, nil
	}
	if int64(int(size)) != size {
		return memory{}, errors.New("the file is larger than this machine's memory")
	}
	bytes, err := syscall.Mmap(int(file.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	return memory{bytes}, err
}

// size is the number of bytes that are there.
func (m memory) size() uint64 { return uint64(len(m.bytes)) }

var swap = func() bool {
	n := uint16(1)
	return *(*byte)(unsafe.Pointer(&n)) != 1
}()

// u32 is one atomic load. Callers have checked that it is inside and aligned.
func (m memory) u32(at uint64) uint32 {
	v := atomic.LoadUint32((*uint32)(unsafe.Pointer(&m.bytes[at : at+4][0])))
	if swap {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], v)
		return binary.LittleEndian.Uint32(b[:])
	}
	return v
}

// u64 is one atomic load of 8 bytes.
func (m memory) u64(at uint64) uint64 {
	v := atomic.LoadUint64((*uint64)(unsafe.Pointer(&m.bytes[at : at+8][0])))
	if swap {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], v)
		return binary.LittleEndian.Uint64(b[:])
	}
	return v
}

// copy copies whole words; at and size are multiples of 4.
func (m memory) copy(at, size uint64) []byte {
	out := make([]byte, size)
	for i := uint64(0); i < size; i += 4 {
		binary.LittleEndian.PutUint32(out[i:], m.u32(at+i))
	}
	return out
}

// u64s are some words of 8 bytes.
func (m memory) u64s(at, count uint64) []uint64 {
	out := make([]uint64, count)
	for i := range out {
		out[i] = m.u64(at + 8*uint64(i))
	}
	return out
}

// sum is Fletcher-64 (FORMAT.md section 8) over whole words.
type sum struct{ a, b uint64 }

func (s *sum) add(bytes []byte) {
	for ; len(bytes) >= 4; bytes = bytes[4:] {
		s.a = (s.a + uint64(binary.LittleEndian.Uint32(bytes))) % 4294967295
		s.b = (s.b + s.a) % 4294967295
	}
}

func (s *sum) value() uint64 { return s.b<<32 | s.a }

func up(n, unit uint64) uint64 { return (n + unit - 1) / unit * unit }
