# frozen_string_literal: true

module Xlreg
  # What a member tells the others besides its addresses (section 1.8): names, each with a value.
  # @api private
  module Labels
    # How many a token may have.
    MOST = 32
    # Bytes of all keys and values together.
    MOST_BYTES = 2048

    module_function

    # @param labels [Hash{String => String}]
    # @return [String, nil] as they travel, sorted by their keys; nil where there are none
    # @raise [IllFormedTokenError] a token may not have them
    def encode(labels)
      return if labels.empty?

      pairs = labels.map { |key, value| [key.to_s, value.to_s] }.sort_by { |key, _| key.b }
      check(pairs)
      list = pairs.map { |key, value| Wire::Pb::Label.new(Key: key, Value: value.b) }
      Wire::Pb::Labels.encode(Wire::Pb::Labels.new(Label: list))
    end

    # @param bytes [String, nil] field 17 of a token
    # @return [Hash{String => String}] values are texts if they can be
    # @raise [IllFormedTokenError] they are not of the form of labels
    def decode(bytes)
      return {} unless bytes

      Wire::Scan.check_nested(bytes)
      pairs = Wire::Pb::Labels.decode(bytes).Label.map { |label| [label.Key, label.Value] }
      check(pairs)
      pairs.to_h.transform_values { |value| text(value) }
    rescue Google::Protobuf::ParseError, ProtocolError, EncodingError
      raise IllFormedTokenError, 'labels do not parse'
    end

    # @api private
    def check(pairs)
      keys = pairs.map(&:first)
      keys.each { |key| Name.check(key) }
      refuse("#{pairs.size} labels, at most #{MOST} allowed") if pairs.size > MOST
      sorted = keys.each_cons(2).all? { |one, other| (one.b <=> other.b).negative? }
      refuse('labels are not sorted, or one is there twice') unless sorted
      size = pairs.flatten.sum(&:bytesize)
      refuse("labels of #{size} bytes, at most #{MOST_BYTES} allowed") if size > MOST_BYTES
    rescue IllFormedNameError => e
      refuse("label: #{e.detail}")
    end

    # @api private
    def refuse(why) = raise(IllFormedTokenError, why)

    # @api private
    def text(value)
      text = value.dup.force_encoding(Encoding::UTF_8)
      text.valid_encoding? ? text : value
    end
  end
end
