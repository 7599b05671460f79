# frozen_string_literal: true

module Xlreg
  # Reads DER by hand, and no deeper than it is asked to, where OpenSSL does not hand out the parts of
  # a certificate as they came or forgives what DER does not; and writes it. Not for outside use.
  # @api private
  module Der
    SEQUENCE = 0x30
    BIT_STRING = 0x03
    INTEGER = 0x02
    SET = 0x31
    OCTETS = 0x04
    UTF8 = 0x0C
    PRINTABLE = 0x13
    UTC_TIME = 0x17
    TIME = 0x18
    DNS_NAME = 0x82
    IP_ADDRESS = 0x87
    KEY_ID = 0x80
    EXPLICIT0 = 0xA0
    EXPLICIT3 = 0xA3
    ALT_NAMES = "\x55\x1d\x11".b.freeze

    # Says that bytes are no DER.
    class BrokenError < StandardError; end

    # One DER value: its tag, its content, and all of its bytes.
    Part = Struct.new(:tag, :content, :whole)

    # The parts of a certificate, as they came.
    Certificate = Struct.new(:signed, :serial, :public_key, :algorithm, :signature, :alternative_names)

    module_function

    # @param tag [Integer]
    # @param contents [Array<String>] in order
    # @return [String] one value
    def value(tag, *contents)
      content = contents.join
      length = content.bytesize
      digits = [length.to_s(16).then { |hex| hex.size.odd? ? "0#{hex}" : hex }].pack('H*')
      head = length < 0x80 ? [tag, length].pack('CC') : [tag, 0x80 + digits.bytesize].pack('CC') + digits
      head + content.b
    end

    # @return [String] a SEQUENCE of values
    def sequence(*values) = value(SEQUENCE, *values)

    # @param number [Integer] not negative
    # @return [String] an INTEGER
    def integer(number)
      value(INTEGER, [number.to_s(16).rjust(((number.bit_length / 8) + 1) * 2, '0')].pack('H*'))
    end

    # @param content [String]
    # @return [String] a BIT STRING without unused bits
    def bits(content) = value(BIT_STRING, "\0".b, content)

    # @param data [String]
    # @return [String] it behind its length, as the protocol and SSH write fields
    def lp(data) = [data.bytesize].pack('N') + data

    # @param data [String]
    # @return [Array<Part>] the values that follow each other in data
    def parts(data)
      found = []
      until data.empty?
        found << first(data)
        data = data.byteslice(found.last.whole.bytesize..)
      end
      found
    end

    # @param data [String]
    # @return [Part] the only value in data
    def only(data, tag)
      part = first(data)
      raise BrokenError unless part.tag == tag && part.whole.bytesize == data.bytesize

      part
    end

    def first(data)
      raise BrokenError if data.bytesize < 2

      head, length = length_at(data)
      raise BrokenError if head + length > data.bytesize

      Part.new(data.getbyte(0), data.byteslice(head, length), data.byteslice(0, head + length))
    end

    # Returns the place of the content and its length.
    def length_at(data)
      length = data.getbyte(1)
      return [2, length] if length < 0x80

      count = length & 0x7F
      digits = data.byteslice(2, count)
      raise BrokenError if count > 4 || digits.bytesize < count || digits.empty?

      [2 + count, digits.unpack1('H*').hex]
    end

    # Takes a certificate to pieces. Some need not be what they should: those who ask build what should be there, or
    # have OpenSSL read it, too.
    # @param der [String]
    # @return [Certificate]
    def certificate(der)
      signed, algorithm, signature, *more = parts(only(der.b, SEQUENCE).content)
      raise BrokenError unless signature && more.empty? && signature.tag == BIT_STRING

      serial, _, _, _, _, key, *rest = parts(signed.content).reject { |v| v.tag == EXPLICIT0 }
      raise BrokenError unless key && signature.content.start_with?("\0".b)

      Certificate.new(signed.whole, serial.content, key.whole, algorithm.whole, signature.content.byteslice(1..),
                      alternative_names(rest.find { |v| v.tag == EXPLICIT3 }))
    end

    # Returns tag and content of each alternative name.
    def alternative_names(wrapped)
      return [] unless wrapped

      extensions = parts(first(wrapped.content).content).map { |part| parts(part.content) }
      found = extensions.find { |oid, *_| oid && oid.content == ALT_NAMES } or return []
      parts(only(found.last.content, SEQUENCE).content).map { |name| [name.tag, name.content] }
    end
  end
end
