# frozen_string_literal: true

module Xlreg
  # Helpers for the texts of errors.
  # @api private
  module Text
    UNITS = { 'days' => 86_400, 'hours' => 3600, 'minutes' => 60 }.freeze
    UNPRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/
    # What a ticket has that nobody is to see, also in a part of its line.
    SECRET = /\b(owner|invite)(=|%3D)[^&\s"']+/i
    private_constant :UNITS, :UNPRINTABLE, :SECRET

    module_function

    # @param text [#to_s]
    # @return [String] text in double quotes, in one line, fit for an error's text
    def quote(text) = printable(valid(text.to_s).gsub(SECRET, '\1\2…')[0, 120].inspect)

    # @param text [String] from a peer, a file or a user
    # @return [String] text in which nothing commands a terminal, for example to change the direction of
    #   writing: characters other than letters, digits, signs and blanks are escaped. What a ticket has that is secret
    #   is left out, wherever it comes from.
    def printable(text)
      valid(text).gsub(SECRET, '\1\2…').gsub(UNPRINTABLE) { |character| format('\\u%04x', character.ord) }
    end

    # @param text [String]
    # @return [Boolean] whether there is something in it that only the holder of a ticket is to see
    def secret?(text) = SECRET.match?(valid(text))

    # @param text [String]
    # @return [String] text in UTF-8, with ? for what is none
    def valid(text) = text.dup.force_encoding(Encoding::UTF_8).scrub('?')

    # @param seconds [Numeric]
    # @return [String] as people say it: 3 days
    def duration(seconds)
      UNITS.each do |unit, length|
        return "#{(seconds / length).floor} #{unit}" if seconds >= 2 * length
      end
      format('%.1f s', seconds)
    end

    # @param time [Time]
    # @return [String]
    def time(time) = time.getutc.strftime('%Y-%m-%dT%H:%M:%SZ')

    # @param numbers [Array<Integer>] in order
    # @return [String] the numbers, with runs of consecutive ones shortened: 0, 2 to 4
    def list(numbers)
      runs = numbers.slice_when { |one, other| other != one + 1 }
      runs.map { |run| run.size > 2 ? "#{run.first} to #{run.last}" : run.join(', ') }.join(', ')
    end

    # Runs the block, and puts what was being done in front of the text of any Error that it raises.
    # @param what [#to_s]
    def doing(what)
      yield
    rescue Error => e
      raise e.while_doing(what)
    end
  end
end
