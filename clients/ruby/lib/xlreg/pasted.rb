# frozen_string_literal: true

module Xlreg
  # Credentials as people paste them, out of mails and terminals: with a mark of the byte order, blanks, quotes
  # and line ends around them, or in them.
  # @api private
  module Pasted
    URL = %r{\Axlreg://}
    FILE = /\AregCred\s*\{/
    # What the line of a registry does not have.
    TICKET = /[?&](?:cluster|size|endpoints|owner|key|invite|until|uses|by|admit)=/
    # A line of a shell that sets XLREG_REGISTRY or XLREG_TICKET.
    ASSIGNMENT = /\A(?:export\s+)?XLREG_(?:REGISTRY|TICKET)\s*=\s*/
    AROUND = /[\s\u00A0\u200B\u2060\uFEFF"'`<>\u2018\u2019\u201C\u201D\u00AB\u00BB]+/
    MARKS = { "\xFF\xFE".b => Encoding::UTF_16LE, "\xFE\xFF".b => Encoding::UTF_16BE }.freeze
    private_constant :URL, :FILE, :TICKET, :ASSIGNMENT, :AROUND, :MARKS

    module_function

    # @param text [String] as it was pasted, or is in a file
    # @return [String] it without what is around it; of an xlreg:// line also without blanks inside
    def clean(text)
      text = trim(decode(text))
      text = trim(text.sub(ASSIGNMENT, ''))
      url?(text) ? text.gsub(/\s+/, '') : text
    end

    # @param text [String] clean
    # @return [Boolean]
    def url?(text) = URL.match?(text)

    # @param text [String] clean
    # @return [Boolean] whether it is the line of a ticket, and not that of a registry
    def ticket?(text) = url?(text) && TICKET.match?(text)

    # @param text [String] clean
    # @return [Boolean] whether it is the content of a regCred file
    def file?(text) = FILE.match?(text)

    # @api private
    def decode(text)
      encoding = MARKS[text.b.byteslice(0, 2)]
      return Text.valid(text) unless encoding

      text.b.byteslice(2..).force_encoding(encoding).encode(Encoding::UTF_8, invalid: :replace, undef: :replace)
    end

    # @api private
    def trim(text) = text.gsub(/\A#{AROUND}|#{AROUND}\z/, '')
  end
end
