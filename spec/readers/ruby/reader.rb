# frozen_string_literal: true

# Prints an mmstats image as one JSON document (CONFORMANCE.md):
#
#   ruby reader.rb FILE
#   ruby reader.rb --repeat N FILE
#   ruby reader.rb --stdin
#
# Exit codes: 0 accepted, 1 refused, 2 no moment without a reuse of room, 3 anything else.
require 'json'
require 'stringio'
require_relative 'image'

module Mmstats
  # Values of one lane, read as PROTOCOL.md asks while a writer may be running.
  class Lane
    STATES = %w[never owned returned].freeze
    ABSENT = { verdict: 'absent' }.freeze
    CONTENDED = { verdict: 'contended' }.freeze
    SECONDS = 2
    TWO_64 = 1 << 64
    TWO_48 = 1 << 48

    def initialize(source, header, number)
      @source = source
      @header = header
      @start = header.lanes_offset + number * header.lane_stride
      @state = source.u32(@start)
    end

    def name
      STATES[@state] || 'damaged'
    end

    # The values of a run of fields that share a cell: usually one field, or the members of a group.
    def values(fields)
      return fields.map { ABSENT } if @state.zero?
      return fields.map { Lane.damaged('lane-state') } unless STATES[@state]

      present = fields.map { |field| !field.optional? || present?(field) }
      return fields.map { ABSENT } if present.none?

      read = case fields.first.storage
             when 'atomic' then [atomic(fields.first)]
             when 'latched' then latched(fields)
             when 'journal' then [journal(fields.first)]
             when 'table' then [table(fields.first)]
             end
      read.zip(present).map { |value, is_present| is_present ? value : ABSENT }
    end

    def self.damaged(code)
      { verdict: 'damaged', code: code }
    end

    # The value whose bytes these are; +field+ says how many of them.
    def self.decode(field, bytes)
      return blob(field, bytes) unless field.type.scalar?

      elements = bytes.byteslice(0, field.value_size).unpack("#{field.type.directive}*")
      scalars(field, elements)
    rescue Damaged => e
      damaged(e.message)
    end

    def self.scalars(field, elements)
      name = field.type.name
      raise Damaged, 'value-range' if name == 'bool' && elements.any? { |element| element > 1 }
      raise Damaged, 'value-range' if field.kind == 'state' && elements.first >= field.detail_items.size

      written = elements.map do |element|
        case name
        when 'bool' then element == 1 ? 'true' : 'false'
        when 'f32' then format('%08x', element)
        when 'f64' then format('%016x', element)
        else element.to_s
        end
      end
      { name => field.array? ? written : written.first }
    end

    def self.blob(field, bytes)
      length, flags = bytes.unpack('L<2')
      raise Damaged, 'value-length' if length > field.count

      value = bytes.byteslice(8, length)
      return { bytes: value.unpack1('H*'), cut: flags.odd? } if field.type.name == 'bytes'

      value.force_encoding(Encoding::UTF_8)
      raise Damaged, 'value-utf8' unless value.valid_encoding?

      { text: value, cut: flags.odd? }
    end

    private

    def present?(field)
      word = @source.u32(@start + 64 + field.number / 32 * 4)
      word[field.number % 32] == 1
    end

    # Up to 16 attempts, each of at most two seconds; nil if none of them gave a result.
    def attempts
      ATTEMPTS.times do
        begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        result = yield
        return result if result && Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun <= SECONDS

        Thread.pass
      end
      nil
    end

    def close?(later, earlier, slots)
      (later - earlier) % (1 << 32) <= slots - 2
    end

    def slot_at(cell, field, number)
      cell + 8 + number % field.slots * field.slot_size
    end

    # PROTOCOL.md section 2.2: the newest slot of a cell.
    def newest(cell, field)
      attempts do
        a = @source.u32(cell)
        slot = @source.bytes(slot_at(cell, field, a), field.slot_size)
        b = @source.u32(cell)
        slot if close?(b, a, field.slots)
      end
    end

    def atomic(field)
      at = @start + field.place
      type = field.type
      return Lane.decode(field, @source.bytes(at, 8)) if type.size == 8

      word = @source.bytes(at, 4)
      wide = word.unpack1(type.name.start_with?('i') ? 'l<' : 'L<')
      narrow = [wide].pack(type.directive)
      return Lane.damaged('value-range') unless narrow.unpack1(type.directive) == wide

      Lane.decode(field, narrow)
    end

    def latched(fields)
      slot = newest(@start + fields.first.place, fields.first)
      fields.map { |field| slot ? Lane.decode(field, slot.byteslice(field.member..)) : CONTENDED }
    end

    def table(field)
      cell = @start + field.place
      used = @state == 1 ? [0, 4].map { |at| @source.u32(cell + at) } : [0, 0]
      numbers = (0...field.param).select { |row| used[row / 32][row % 32] == 1 }
      rows = numbers.map { |row| row(cell + 32 + row * field.row_size, field, row) }
      { rows: rows, refused: @source.u64(cell + 16).to_s }
    end

    def row(cell, field, number)
      slot = newest(cell, field)
      return { row: number.to_s, **CONTENDED } unless slot

      value = Lane.decode(field, slot.byteslice(field.member..))
      return { row: number.to_s, **value } if value[:verdict]

      since, begun = slot.unpack('Q<2')
      { row: number.to_s, since: since.to_s, number: begun.to_s, **value }
    end

    # PROTOCOL.md section 9.2.
    def journal(field)
      attempts { journal_attempt(@start + field.place, field) } || CONTENDED
    end

    def journal_attempt(cell, field)
      a = @source.u32(cell)
      elements = @source.bytes(cell + field.row_size, 8 * field.count).unpack('Q<*')
      b = @source.u32(cell)
      return unless close?(b, a, field.slots)

      changed = (b - a) % (1 << 32)
      changes = (1..changed + 1).map { |n| @source.bytes(slot_at(cell, field, a + n), 16).unpack('Q<2') }
      slot = @source.bytes(slot_at(cell, field, b), field.slot_size).unpack('Q<*')
      c = @source.u32(cell)
      return unless close?(c, a, field.slots)

      unfinished = changes.pop
      redo_changes(elements, changes)
      undo_change(elements, slot.first, unfinished) if elements.sum % TWO_64 != slot.first
      return c == a ? Lane.damaged('value-total') : nil if elements.sum % TWO_64 != slot.first

      { u64: elements.map(&:to_s), total: slot.first.to_s, words: slot.drop(2).map(&:to_s) }
    end

    # K10
    def redo_changes(elements, changes)
      changes.each do |_, change|
        index = change & 0xffff
        next if index >= elements.size

        difference = ((change >> 16) - elements[index]) % TWO_48
        difference -= TWO_48 if difference >= TWO_48 / 2
        elements[index] = (elements[index] + difference) % TWO_64
      end
    end

    # K12
    def undo_change(elements, total, (total_after, change))
      index = change & 0xffff
      return if index >= elements.size

      old = (total - (elements.sum - elements[index])) % TWO_64
      after = (old + total_after - total) % TWO_64
      elements[index] = old if after % TWO_48 == change >> 16
    end
  end

  # One look at an image.
  class Look
    # A field is gone: its room was given to another one while the look went on.
    class Gone < StandardError; end

    # Seconds after a reuse of room: several come in a row.
    PAUSE = 0.001

    # In the last of several looks values of a field that is gone are contended.
    def initialize(source, last:)
      @source = source
      @last = last
      @header = Header.new(source)
    end

    def document
      fields = load_fields
      lanes = (0...@header.lanes_used).map { |number| Lane.new(@source, @header, number) }
      values = lane_values(fields.grep(Field), lanes)
      {
        format: "#{@header.major}.#{@header.minor}", state: @header.state == 3 ? 'closed' : 'live',
        instance: @header.instance.unpack1('H*'), part: @header.part.to_s, lanes: lanes.map(&:name),
        fields: fields.map { |field| field.is_a?(Field) ? describe(field, values[field]) : { damaged: field } }
      }
    end

    private

    # A Field, or the code of its damage, for each descriptor.
    def load_fields
      checker = Checker.new(@header)
      total = 0
      @reuses = {}
      (0...@header.field_count).map do |number|
        field, code = load_field(number, total)
        total = field.constants_total
        checker.check(code ? nil : field)
        code || field
      rescue Damaged => e
        e.message
      end
    end

    # PROTOCOL.md section 5.2, Q1 to Q6. Returns the field, and the code of its damage or nil.
    def load_field(number, total)
      field = nil
      ATTEMPTS.times do
        reuses = @header.reuses
        field = Field.new(@source, @header, number, total)
        code = begin
          field.load
          nil
        rescue Damaged => e
          e.message
        end
        if @header.reuses == reuses
          @reuses[number] = reuses
          return [field, code]
        end
        sleep PAUSE
      end
      raise Unsettled, 'room of fields was used again during each attempt'
    end

    # For each field that has lanes, its values.
    def lane_values(fields, lanes)
      shown = fields.select { |field| !field.retired? && field.type && field.storage && field.storage != 'constant' }
      runs = shown.slice_when { |a, b| !(a.member? && b.member? && a.place == b.place) }.to_a
      values = shown.to_h { |field| [field, []] }
      lanes.each do |lane|
        runs.each { |run| run.zip(read_run(lane, run)) { |field, value| values[field] << value } }
      end
      values
    end

    def read_run(lane, run)
      ATTEMPTS.times do
        reuses = @header.reuses
        unless run.all? { |field| @reuses[field.number] == reuses || field.same? }
          @last ? break : raise(Gone)
        end

        values = lane.values(run)
        return values if @header.reuses == reuses

        sleep PAUSE
      end
      run.map { Lane::CONTENDED }
    end

    def describe(field, values)
      text = field.strings
      description = {
        label: text[:label], unit: text[:unit] || '', help: text[:help] || '',
        attributes: (text[:attributes] || '').split("\0", -1).to_h { |item| item.split('=', 2) },
        type: field.type&.name || 'unknown', kind: field.kind || 'unknown',
        aggregation: field.aggregation || 'unknown', storage: field.storage || 'unknown',
        level: field.level, count: field.count.to_s, param: field.param.to_s, detail: field.detail_items
      }
      return description.merge(retired: true) if field.retired?
      return description unless field.type && field.storage
      return description.merge(lanes: values) unless field.storage == 'constant'

      description.merge(value: Lane.decode(field, field.constant))
    end
  end

  # The document of one look. A look during which a field goes begins anew.
  def self.document(source)
    (1..ATTEMPTS).each do |attempt|
      return Look.new(source, last: attempt == ATTEMPTS).document
    rescue Look::Gone
      sleep Look::PAUSE
    end
  end

  def self.main(arguments)
    $stdout.sync = true
    return $stdin.each_line(chomp: true) { |path| answer(path) } && 0 if arguments == ['--stdin']

    repeat = arguments.first == '--repeat' ? arguments.shift(2).last.to_i : 1
    read(arguments.first, repeat, $stdout)
  end

  # A line with the exit code and the document.
  def self.answer(path)
    said = StringIO.new
    code = read(path, 1, said)
    $stdout.write("#{code} #{said.string.chomp}\n")
  end

  # Writes the documents of a file; returns the exit code.
  def self.read(path, repeat, out)
    raise Unreadable, 'usage: reader.rb [--repeat N] FILE' unless path

    File.open(path, File::RDONLY | File::NOFOLLOW | File::NONBLOCK | File::BINARY) do |file|
      raise Unreadable, 'not a regular file' unless file.stat.file?

      source = Source.new(file)
      repeat.times { out.write(JSON.generate(document(source)), "\n") }
    end
    0
  rescue Refused => e
    out.write(JSON.generate({ refused: e.message }), "\n")
    1
  rescue Unsettled => e
    warn "#{path}: #{e.message}"
    2
  rescue StandardError => e
    warn "#{path}: #{e.message} (#{e.class})"
    3
  end
end

exit Mmstats.main(ARGV.dup) if $PROGRAM_NAME == __FILE__
