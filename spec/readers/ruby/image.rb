# frozen_string_literal: true

# Header and descriptors of an mmstats image: loaded and checked as in FORMAT.md sections 3 to 8 and 10.
module Mmstats
  # The image is refused: the message is a code of FORMAT.md section 10.
  class Refused < StandardError; end

  # A field or a value is damaged: the message is a code of FORMAT.md section 10.
  class Damaged < StandardError; end

  # The file cannot be opened, or was cut short while it was read: there is no code for that.
  class Unreadable < StandardError; end

  # Room of retired fields was used again during each attempt.
  class Unsettled < StandardError; end

  # A data type: its name, the size of an element in bytes, and the directive of String#unpack.
  Type = Struct.new(:name, :size, :directive) do
    def scalar? = !directive.nil?
  end

  TYPES = [
    nil,
    Type.new('u8', 1, 'C'), Type.new('u16', 2, 'S<'), Type.new('u32', 4, 'L<'), Type.new('u64', 8, 'Q<'),
    Type.new('i8', 1, 'c'), Type.new('i16', 2, 's<'), Type.new('i32', 4, 'l<'), Type.new('i64', 8, 'q<'),
    Type.new('f32', 4, 'L<'), Type.new('f64', 8, 'Q<'), Type.new('bool', 1, 'C'),
    Type.new('text', 1, nil), Type.new('bytes', 1, nil)
  ].freeze

  KINDS = [nil, *%w[counter gauge info state histogram average timer events window rate timestamp activity
                    running]].freeze
  AGGREGATIONS = [nil, *%w[sum min max mean each]].freeze
  STORAGES = [nil, *%w[constant atomic latched journal table]].freeze
  LEVELS = %w[info diagnostic debug].freeze

  ATTEMPTS = 16

  # The bytes of a file, each read by one system call of their own: what LANGUAGES.md asks for a language
  # without fences.
  class Source
    def initialize(file)
      @file = file
    end

    def size = @file.size

    # As many of the +length+ bytes as are there.
    def available(offset, length)
      @file.pread(length, offset)
    rescue EOFError
      ''.b
    end

    def bytes(offset, length)
      return ''.b if length.zero?

      bytes = available(offset, length)
      raise Unreadable, 'the file was cut short' if bytes.bytesize < length

      bytes
    end

    def u32(offset) = bytes(offset, 4).unpack1('L<')
    def u64(offset) = bytes(offset, 8).unpack1('Q<')
  end

  # The checksum of FORMAT.md section 8.
  def self.fletcher64(bytes)
    a = b = 0
    bytes.unpack('L<*').each do |word|
      a = (a + word) % 0xffff_ffff
      b = (b + a) % 0xffff_ffff
    end
    (b << 32) + a
  end

  def self.round_up(number, multiple)
    (number + multiple - 1) / multiple * multiple
  end

  # The fixed part of the header, and one look at its counts.
  class Header
    MAGIC = "\x89MMS\r\n\x1a\n".b.freeze
    SIZE = 192
    MINOR = 0

    attr_reader :major, :minor, :instance, :part, :descriptor_offset, :descriptor_size, :heap_offset,
                :lanes_offset, :lane_stride, :cells_offset, :state, :field_count, :heap_used, :lanes_used

    def initialize(source)
      @source = source
      load_fixed
      check_layout
      load_counts
    end

    # End of the used heap.
    def heap_end = @heap_offset + @heap_used
    def reuses = @source.u32(156)

    private

    def refuse(code, unless_true)
      raise Refused, code unless unless_true
    end

    def load_fixed
      bytes = @source.available(0, SIZE)
      refuse 'bad-magic', MAGIC.start_with?(bytes.byteslice(0, 8))
      refuse 'too-short', bytes.bytesize == SIZE
      @major, @minor, @min_minor, @header_size, @required, _, @instance, @part, @file_size,
        @descriptor_offset, @descriptor_capacity, @descriptor_size, _, @heap_offset, @heap_size,
        @lanes_offset, @lane_stride, @lane_capacity, @cells_offset, _, checksum =
        bytes.unpack('@8S<4Q<2a16L<4S<2L<6a28Q<')
      refuse 'unsupported-major', @major == 3
      refuse 'header-checksum', checksum == Mmstats.fletcher64(bytes.byteslice(0, 120))
    end

    def check_layout
      size = @source.size
      refuse 'unsupported-minor', @min_minor <= MINOR
      refuse 'required-features', @required.zero?
      refuse 'header-size', @header_size >= SIZE && (@header_size % 64).zero? && @header_size <= size
      refuse 'file-size', @file_size <= size
      refuse 'descriptor-size', @descriptor_size >= 64 && (@descriptor_size % 8).zero?
      refuse 'limit', @descriptor_capacity <= 1 << 24 && @lane_capacity.between?(1, 1 << 16)
      refuse 'alignment', [@descriptor_offset, @heap_offset, @heap_size, @cells_offset].all? { |n| (n % 8).zero? } &&
                          [@lanes_offset, @lane_stride].all? { |n| (n % 64).zero? }
      descriptors_end = @descriptor_offset + @descriptor_capacity * @descriptor_size
      heap_end = @heap_offset + @heap_size
      lanes_end = @lanes_offset + @lane_capacity * @lane_stride
      refuse 'section-order', @descriptor_offset >= @header_size && @heap_offset >= descriptors_end &&
                              @lanes_offset >= heap_end
      refuse 'section-bounds', [descriptors_end, heap_end, lanes_end].all? { |n| n <= @file_size }
      presence = 8 * ((@descriptor_capacity + 63) / 64)
      refuse 'lane-layout', @cells_offset.between?(64 + presence, @lane_stride)
    end

    # In the order of PROTOCOL.md section 5.2: each count before what it counts.
    def load_counts
      @state = @source.u32(128)
      refuse 'building', @state != 1
      refuse 'bad-state', [2, 3].include?(@state)
      @field_count = @source.u32(132)
      @heap_used = @source.u32(136)
      @lanes_used = @source.u32(140)
      refuse 'field-count', @field_count <= @descriptor_capacity
      refuse 'heap-used', @heap_used <= @heap_size
      refuse 'lanes-used', @lanes_used <= @lane_capacity
    end
  end

  # A descriptor with its strings and constant: a copy, whose checksum has been compared.
  class Field
    OPTIONAL = 1
    ARRAY = 2
    MEMBER = 4
    # Offset in the descriptor and longest text of each string.
    STRINGS = { label: 255, unit: 63, help: 4096, attributes: 4096, detail: 4096 }.freeze

    attr_reader :number, :count, :place, :slot_size, :member, :slot_bits, :param, :state, :checksum,
                :strings, :constant, :constants_total

    # +constants_total+ is that of the constants of all fields before (FORMAT.md section 5).
    def initialize(source, header, number, constants_total)
      @source = source
      @header = header
      @number = number
      @constants_total = constants_total
      bytes = source.bytes(offset, 64)
      label, unit, help, attributes, @type, @kind, @aggregation, @storage, @count, @place, @slot_size, @member,
        @slot_bits, @level, @flags, @param, detail, @state, _, @checksum = bytes.unpack('L<4C4L<4C2S<L<4Q<')
      @offsets = { label: label, unit: unit, help: help, attributes: attributes, detail: detail }
      @head = bytes.byteslice(0, 48)
    end

    # Loads strings and constant, up to the rule `field-checksum`.
    def load
      raise Damaged, 'field-state' unless [1, 2].include?(@state)

      pieces = [@head, *load_strings]
      if storage == 'constant'
        return self unless (size = constant_size)

        @constants_total += size
        raise Damaged, 'cell-overlap' if @constants_total > 2 * @header.heap_used

        @constant = @constant_start + @source.bytes(@place + @constant_start.bytesize,
                                                    size - @constant_start.bytesize)
        pieces << @constant
      end
      raise Damaged, 'field-checksum' unless Mmstats.fletcher64(pieces.join) == @checksum

      self
    end

    # Whether the room still belongs to this field (PROTOCOL.md section 5.2, Q3).
    def same? = @source.u32(offset + 48) == @state && @source.u64(offset + 56) == @checksum
    def type = TYPES[@type]
    def kind = KINDS[@kind]
    def aggregation = AGGREGATIONS[@aggregation]
    def storage = STORAGES[@storage]
    def level = LEVELS[@level] || LEVELS.last
    def optional? = @flags & OPTIONAL != 0
    def array? = @flags & ARRAY != 0
    def member? = @flags & MEMBER != 0
    def retired? = @state == 2
    def slots = @slot_bits > 16 ? 0 : 1 << @slot_bits
    def detail_items = (@strings[:detail] || '').split("\0", -1)

    # Whether the rule `count` lets a field of this type have this count, whatever its storage.
    def count_valid?
      if !type.scalar?
        @count.between?(1, 1_048_560)
      elsif array?
        @count >= 1 && @count * type.size <= 1 << 20
      else
        @count == 1
      end
    end

    # Size of the value in a slot; of an unknown type the 8 bytes that it takes in a group.
    def value_size
      return 8 unless type

      type.scalar? ? @count * type.size : 8 + @count
    end

    def row_size = 8 + slots * @slot_size

    def cell_size
      case storage
      when 'atomic' then 8
      when 'latched' then row_size
      when 'journal' then row_size + 8 * @count
      when 'table' then 32 + @param * row_size
      end
    end

    private

    def offset = @header.descriptor_offset + @number * @header.descriptor_size

    def load_strings
      @strings = {}
      STRINGS.filter_map do |name, limit|
        at = @offsets[name]
        next if at.zero? && name != :label

        inside = at >= @header.heap_offset && at + 4 <= @header.heap_end
        raise Damaged, 'string-place' unless (at % 4).zero? && inside

        start = @source.bytes(at, 4)
        length = start.unpack1('S<')
        padded = Mmstats.round_up(2 + length, 4)
        raise Damaged, 'string-length' unless length.between?(1, limit) && at + padded <= @header.heap_end

        piece = start + @source.bytes(at + 4, padded - 4)
        @strings[name] = piece.byteslice(2, length).force_encoding(Encoding::UTF_8)
        piece
      end
    end

    # Size of the constant with its padding; nil if size or place are not known.
    def constant_size
      return unless type && count_valid? && (@place % 8).zero? && @place >= @header.heap_offset

      @constant_start = ''.b
      size = Mmstats.round_up(@count * type.size, 8)
      unless type.scalar?
        return if @place + 8 > @header.heap_end

        @constant_start = @source.bytes(@place, 8)
        size = 8 + Mmstats.round_up([@constant_start.unpack1('L<'), @count].min, 8)
      end
      size if @place + size <= @header.heap_end
    end
  end

  # Checks the fields of an image one after the other, by the rules from `utf8` on.
  class Checker
    INTEGERS = %w[u8 u16 u32 u64].freeze
    # Kinds whose types KINDS.md section 1 names; of the others every type is allowed.
    KIND_TYPES = {
      'counter' => INTEGERS + %w[f32 f64], 'state' => %w[u8 u16 u32], 'histogram' => %w[u64],
      'average' => %w[u64 i64 f64], 'timer' => %w[u64], 'events' => %w[text], 'window' => %w[u64 i64 f64],
      'rate' => %w[u64], 'timestamp' => %w[u64 i64], 'activity' => %w[text], 'running' => %w[u64]
    }.freeze
    NO_JOURNAL = %w[constant atomic latched].freeze
    KIND_STORAGES = Hash.new(NO_JOURNAL).merge(
      'counter' => [*NO_JOURNAL, 'journal'], 'gauge' => [*NO_JOURNAL, 'journal'],
      'info' => [*NO_JOURNAL, 'journal'], 'histogram' => %w[journal], 'events' => %w[latched],
      'window' => %w[latched], 'rate' => %w[latched], 'activity' => %w[table]
    ).freeze
    # What count must be of the kinds that are arrays.
    KIND_COUNTS = { 'histogram' => (3..), 'average' => 2..2, 'timer' => 5..5, 'rate' => 2..2 }.freeze
    SLOT_MINIMUM = { 'latched' => 8, 'journal' => 16, 'table' => 8 }.freeze

    def initialize(header)
      @header = header
      @cells_end = header.cells_offset
      @group = nil
      @previous = nil
    end

    # Raises Damaged if a rule is broken. +field+ is nil if an earlier rule was.
    def check(field)
      previous = @previous
      @previous = nil
      return unless field

      check_strings(field)
      check_count(field)
      check_type_storage(field)
      check_kind_type(field)
      check_kind_param(field, previous)
      check_place(field) if field.storage
      @previous = field
    end

    private

    def damaged(code, condition)
      raise Damaged, code if condition
    end

    def check_strings(field)
      damaged 'utf8', !field.strings.values.all?(&:valid_encoding?)
      return unless (attributes = field.strings[:attributes])

      items = attributes.split("\0", -1)
      damaged 'attributes', !items.all? { |item| item.match?(/\A[A-Za-z0-9_.-]{1,63}=/) }
      damaged 'attributes', items.map { |item| item[/\A[^=]*/] }.uniq!
    end

    def check_count(field)
      damaged 'count', field.type && !field.count_valid?
      damaged 'count', field.storage == 'journal' && !field.count.between?(2, 1 << 16)
    end

    def check_type_storage(field)
      type = field.type
      damaged 'type-storage', type && !type.scalar? && field.array?
      broken = case field.storage
               when 'constant' then field.member? || field.optional?
               when 'atomic' then field.array? || field.member? || type && !type.scalar?
               when 'journal' then field.member? || field.optional? || !field.array? || type && type.name != 'u64'
               when 'table' then field.member? || field.optional? || field.array? || type && type.name != 'text'
               end
      damaged 'type-storage', broken
    end

    def check_kind_type(field)
      kind = field.kind
      return unless kind && field.type

      damaged 'kind-type', KIND_TYPES[kind] && !KIND_TYPES[kind].include?(field.type.name)
      damaged 'kind-type', field.storage && !KIND_STORAGES[kind].include?(field.storage)
      return if %w[counter gauge info].include?(kind)

      counts = KIND_COUNTS[kind]
      damaged 'kind-type', field.array? != !counts.nil?
      damaged 'kind-type', counts && !counts.include?(field.count)
    end

    def check_kind_param(field, previous)
      valid = case field.kind
              when 'state' then names?(field.detail_items)
              when 'histogram' then histogram?(field)
              when 'events' then field.member == 8
              when 'window' then field.param >= 1 && field.slots >= field.param + 2
              when 'rate' then field.param >= 1 && windows?(field.strings[:detail]) && counter?(previous)
              when 'activity' then table?(field)
              else true
              end
      valid &&= table?(field) if field.storage == 'table'
      damaged 'kind-param', !valid
    end

    def names?(items)
      items.size.between?(1, 1024) && items.all? { |item| item.bytesize.between?(1, 63) }
    end

    def histogram?(field)
      scale, type = [field.param].pack('L<').unpack('cC')
      scale.between?(-4, 8) && [4, 10].include?(type) && field.count >= 3 && field.slot_size >= 40
    end

    def windows?(detail)
      items = (detail || '').split("\0", -1)
      items.size.between?(1, 8) && items.all? { |item| item.match?(/\A[0-9]{1,6}\z/) && item.to_i.positive? }
    end

    def counter?(field)
      field && field.kind == 'counter' && field.type&.name == 'u64' && !field.array? &&
        %w[atomic latched].include?(field.storage)
    end

    def table?(field)
      field.param.between?(1, 64) && field.member == 16
    end

    def check_place(field)
      check_slots(field)
      continued = field.member? && @group == group_of(field)
      check_member(field, continued)
      check_cell(field, continued)
      @group = field.member? ? group_of(field) : nil
      @member_end = Mmstats.round_up(field.member + field.value_size, 8)
    end

    def group_of(field)
      [field.place, field.slot_bits, field.slot_size]
    end

    def check_slots(field)
      minimum = SLOT_MINIMUM[field.storage]
      valid = if minimum
                field.slot_bits.between?(1, 16) && field.slot_size.between?(minimum, 1 << 20) &&
                  (field.slot_size % 8).zero?
              else
                field.slot_bits.zero? && field.slot_size.zero?
              end
      damaged 'slots', !valid
    end

    def check_member(field, continued)
      return damaged('member', field.member != 0) unless %w[latched table].include?(field.storage)

      size = field.type ? field.value_size : 1
      damaged 'member', field.member % 8 != 0 || field.member + size > field.slot_size
      damaged 'member', continued && field.member < @member_end
    end

    def check_cell(field, continued)
      damaged 'cell-place', field.place % 8 != 0
      if field.storage == 'constant'
        start = @header.heap_offset
        inside = field.type ? field.constant : field.place.between?(start, @header.heap_end - 1)
        return damaged('cell-place', !inside)
      end
      cell_end = field.place + field.cell_size
      damaged 'cell-place', field.place < @header.cells_offset || cell_end > @header.lane_stride
      return if continued

      damaged 'cell-overlap', field.place < @cells_end
      @cells_end = cell_end
    end
  end
end
