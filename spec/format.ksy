meta:
  id: mmstats
  title: mmstats image, format 3
  file-extension: mmst
  license: CC0-1.0
  endian: le
  ks-version: '0.9'
doc: |
  The live state of one program as typed, labelled fields. FORMAT.md is normative; this says where
  the bytes of a file are that nobody writes, and leaves out checksums and the limits.
seq:
  - id: header
    type: header
instances:
  descriptors:
    pos: header.descriptor_offset
    size: header.descriptor_size
    type: descriptor
    repeat: expr
    repeat-expr: header.field_count
  lanes:
    pos: header.lanes_offset
    size: header.lane_stride
    type: lane
    repeat: expr
    repeat-expr: header.lanes_used
types:
  header:
    seq:
      - id: magic
        contents: [0x89, 0x4d, 0x4d, 0x53, 0x0d, 0x0a, 0x1a, 0x0a]
      - id: major
        type: u2
        valid: 3
      - id: minor
        type: u2
      - id: min_minor
        type: u2
        valid: 0
      - id: header_size
        type: u2
        valid:
          min: 192
      - id: required_features
        type: u8
        valid: 0
      - id: optional_features
        type: u8
      - id: instance
        size: 16
      - id: part
        type: u4
      - id: file_size
        type: u4
      - id: descriptor_offset
        type: u4
      - id: descriptor_capacity
        type: u4
        valid:
          max: 16777216
      - id: descriptor_size
        type: u2
        valid:
          min: 64
      - id: reserved_66
        size: 2
      - id: heap_offset
        type: u4
      - id: heap_size
        type: u4
      - id: lanes_offset
        type: u4
      - id: lane_stride
        type: u4
      - id: lane_capacity
        type: u4
        valid:
          min: 1
          max: 65536
      - id: cells_offset
        type: u4
      - id: reserved_92
        size: 28
      - id: checksum
        type: u8
      - id: state
        type: u4
        enum: image_state
      - id: field_count
        type: u4
      - id: heap_used
        type: u4
      - id: lanes_used
        type: u4
      - id: fields_refused
        type: u4
      - id: lanes_refused
        type: u4
      - id: parts
        type: u4
      - id: reuses
        type: u4
      - id: reserved_160
        size: 32
  descriptor:
    seq:
      - id: label_offset
        type: u4
      - id: unit_offset
        type: u4
      - id: help_offset
        type: u4
      - id: attributes_offset
        type: u4
      - id: data_type
        type: u1
        enum: data_type
      - id: kind
        type: u1
        enum: kind
      - id: aggregation
        type: u1
        enum: aggregation
      - id: storage
        type: u1
        enum: storage
      - id: count
        type: u4
      - id: place
        type: u4
      - id: slot_size
        type: u4
      - id: member
        type: u4
      - id: slot_bits
        type: u1
      - id: level
        type: u1
      - id: flags
        type: u2
      - id: param
        type: u4
      - id: detail_offset
        type: u4
      - id: state
        type: u4
      - id: reserved_52
        size: 4
      - id: checksum
        type: u8
    instances:
      label:
        io: _root._io
        pos: label_offset
        type: heap_string
      unit:
        io: _root._io
        pos: unit_offset
        type: heap_string
        if: unit_offset != 0
      help:
        io: _root._io
        pos: help_offset
        type: heap_string
        if: help_offset != 0
      attributes:
        io: _root._io
        pos: attributes_offset
        type: heap_string
        if: attributes_offset != 0
      detail:
        io: _root._io
        pos: detail_offset
        type: heap_string
        if: detail_offset != 0
      slots:
        value: 'slot_bits == 0 ? 0 : 1 << slot_bits'
      is_optional:
        value: flags & 1 != 0
      is_array:
        value: flags & 2 != 0
      is_member:
        value: flags & 4 != 0
  heap_string:
    seq:
      - id: length
        type: u2
      - id: text
        size: length
        type: str
        encoding: UTF-8
  lane:
    seq:
      - id: state
        type: u4
        enum: lane_state
      - id: owners
        type: u4
      - id: samples_refused
        type: u8
      - id: reserved_16
        size: 48
      - id: presence
        type: u4
        repeat: expr
        repeat-expr: (_root.header.descriptor_capacity + 63) / 64 * 2
    instances:
      cells:
        type: cell(_index)
        repeat: expr
        repeat-expr: _root.header.field_count
  cell:
    doc: What a lane has of one field; nothing of a constant.
    params:
      - id: number
        type: s4
    instances:
      descriptor:
        value: _root.descriptors[number]
      word:
        doc: Of an atomic field; small types are widened to 32 bits.
        pos: descriptor.place
        type: u8
        if: descriptor.storage == storage::atomic
      seq_number:
        doc: The number of the newest complete value or change.
        pos: descriptor.place
        type: u4
        if: descriptor.slot_bits != 0 and descriptor.storage != storage::table
      newest:
        doc: The slot of that value.
        pos: descriptor.place + 8 + (seq_number % descriptor.slots) * descriptor.slot_size
        size: descriptor.slot_size
        if: descriptor.slot_bits != 0 and descriptor.storage != storage::table
      used:
        doc: Of a table, a bit for each row in use.
        pos: descriptor.place
        type: u8
        if: descriptor.storage == storage::table
      refused:
        doc: Of a table, how often no row was free.
        pos: descriptor.place + 16
        type: u8
        if: descriptor.storage == storage::table
      rows:
        doc: Of a table, all rows.
        pos: descriptor.place + 32
        type: row(number)
        size: 8 + descriptor.slots * descriptor.slot_size
        repeat: expr
        repeat-expr: descriptor.param
        if: descriptor.storage == storage::table
      elements:
        doc: Of a journal.
        pos: descriptor.place + 8 + descriptor.slots * descriptor.slot_size
        type: u8
        repeat: expr
        repeat-expr: descriptor.count
        if: descriptor.storage == storage::journal
  row:
    doc: A row of a table.
    params:
      - id: number
        type: s4
    seq:
      - id: seq_number
        type: u4
    instances:
      descriptor:
        value: _root.descriptors[number]
      newest:
        doc: The slot of its newest value.
        pos: 8 + (seq_number % descriptor.slots) * descriptor.slot_size
        size: descriptor.slot_size
enums:
  image_state:
    1: building
    2: live
    3: closed
  lane_state:
    0: never
    1: owned
    2: returned
  data_type:
    1: u8
    2: u16
    3: u32
    4: u64
    5: i8
    6: i16
    7: i32
    8: i64
    9: f32
    10: f64
    11: bool
    12: text
    13: bytes
  kind:
    1: counter
    2: gauge
    3: info
    4: state
    5: histogram
    6: average
    7: timer
    8: events
    9: window
    10: rate
    11: timestamp
    12: activity
    13: running
  aggregation:
    1: sum
    2: min
    3: max
    4: mean
    5: each
  storage:
    1: constant
    2: atomic
    3: latched
    4: journal
    5: table
