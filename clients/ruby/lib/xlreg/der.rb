# frozen_string_literal: true

module Xlreg
  # Reads DER by hand, and no deeper than it is asked to, where OpenSSL does not hand out the parts of
  # a certificate as they came or forgives what DER does not. Not for outside use.
  # @api private
  module Der
    SEQUENCE = 0x30
    BIT_STRING = 0x03
    INTEGER = 0x02
    DNS_NAME = 0x82
    IP_ADDRESS = 0x87
    EXPLICIT0 = 0xA0
    EXPLICIT3 = 0xA3

    # Says that bytes are no DER.
    class BrokenError < StandardError; end

    # One DER value: its tag, its content, and all of its bytes.
    Part = Struct.new(:tag, :content, :whole)

    # One extension of a certificate, with its content as it came.
    Extension = Struct.new(:oid, :critical, :content)

    # The parts of a certificate, as they came.
    Certificate = Struct.new(:serial, :algorithm, :issuer, :subject, :public_key, :extensions)

    module_function

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

    # Takes a certificate to pieces.
    # @param der [String]
    # @return [Certificate]
    def certificate(der)
      tbs = first(only(der.b, SEQUENCE).content)
      serial, algorithm, issuer, _, subject, key, *rest = parts(tbs.content).reject { |v| v.tag == EXPLICIT0 }
      raise BrokenError unless key

      wrapped = rest.find { |v| v.tag == EXPLICIT3 }
      extensions = wrapped ? parts(first(wrapped.content).content).map { |v| extension(v) } : []
      Certificate.new(serial.content, algorithm.whole, issuer.whole, subject, key.whole, extensions)
    end

    def extension(part)
      oid, *rest = parts(part.content)
      raise BrokenError if rest.empty? || rest.size > 2

      Extension.new(oid.content, rest.size == 2 && rest[0].content != "\0".b, rest[-1].content)
    end

    # @param name [Part] a subject
    # @return [Array<Array(String, String)>] its attributes, OID and text, one for each of its sets
    def attributes(name)
      parts(name.content).flat_map do |group|
        parts(group.content).map do |attribute|
          oid, text = parts(attribute.content)
          raise BrokenError unless text

          [oid.content, text.content]
        end
      end
    end
  end
end
