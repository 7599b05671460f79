# frozen_string_literal: true

module Xlreg
  # What stands for a whole roster: two that have the same sum agree in all but times (section 11.1).
  module Sum
    BYTES = 32
    # Of these people see 160 bits, in groups of four characters.
    SHOWN = 20
    ROSTER = "xlreg roster 2.0\0".b.freeze
    SEAT = "xlreg seat 2.0\0".b.freeze
    BASE32 = [*'a'..'z', *'2'..'7'].freeze
    private_constant :SHOWN, :ROSTER, :SEAT, :BASE32

    module_function

    # @param roster [Roster] whole
    # @return [String] 32 bytes
    def of(roster)
      seats = roster.members.sort_by(&:index).map { |member| [member.index].pack('N') + seat(member.token) }
      digest(head(roster.cluster, roster.state) + [seats.size].pack('N') + seats.join)
    end

    # @param sum [String]
    # @return [String] it for people: eight groups of four characters
    def short(sum)
      bits = sum.byteslice(0, SHOWN).unpack1('B*')
      bits.scan(/.{5}/).map { |five| BASE32[five.to_i(2)] }.each_slice(4).map(&:join).join('-')
    end

    # @api private
    def head(cluster, state)
      fields = [cluster.id.bytes, cluster.name.b, cluster.key.to_s].map { |field| Der.lp(field) }.join
      numbers = [cluster.size, cluster.endpoint_count, cluster.attrs, state.epoch, state.revision]
      ROSTER + fields + numbers.pack('NNQ>Q>Q>')
    end

    # @api private
    def seat(token)
      ends = token.endpoints.map { |endpoint| Der.lp(endpoint.to_s.b) }
      keys = [token.comms_key, token.sig_key].map { |key| Der.lp(key) }
      rest = token.to_h.values_at(:digsig2, :certificate, :comms_sig, :labels, :admission, :run)
      digest([SEAT, Der.lp(token.id.bytes), Der.lp(token.name.b), [token.attrs].pack('Q>'), *keys,
              [ends.size].pack('N'), *ends, *rest.map { |field| Der.lp(field.to_s) }].join)
    end

    # @api private
    def digest(text) = OpenSSL::Digest::SHA256.digest(text)
  end
end
