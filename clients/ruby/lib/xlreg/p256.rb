# frozen_string_literal: true

module Xlreg
  # Keys on the curve P-256, and their signatures (section 1.5). A public key has one form, a signature too:
  # what OpenSSL would take besides is refused here.
  # @api private
  module P256
    # What the kind is called.
    NAME = 'P-256'
    BITS = 256
    CURVE = 'prime256v1'
    # All of a public key in DER but the coordinates of its point.
    HEAD = ['3059301306072a8648ce3d020106082a8648ce3d03010703420004'].pack('H*').freeze
    # The begin of every public key of the kind of algorithm, in DER with lengths of one byte: SEQUENCE, its length,
    # then the algorithm.
    ALGORITHM = ['06072a8648ce3d0201'].pack('H*').freeze
    COORDINATES = 64
    SSH = %w[ecdsa-sha2-nistp256 nistp256].freeze
    private_constant :CURVE, :HEAD, :ALGORITHM, :COORDINATES, :SSH

    module_function

    # @param der [String]
    # @return [Boolean] whether it says that it is a key on a curve
    def public?(der) = der.b.byteslice(0, 16).to_s.include?(ALGORITHM)

    # @param der [String] a SubjectPublicKeyInfo
    # @return [OpenSSL::PKey::EC]
    # @raise [PublicKeyError] it is no point on P-256 in its one form
    def parse(der)
      der = der.b
      unless der.start_with?(HEAD) && der.bytesize == HEAD.bytesize + COORDINATES
        PublicKey.refuse('on a curve, but not the one form of a key on P-256')
      end
      OpenSSL::PKey.read(der)
    rescue OpenSSL::PKey::PKeyError => e
      PublicKey.refuse(e.message)
    ensure
      OpenSSL.errors
    end

    # @return [OpenSSL::PKey::EC] a new private key
    def generate = OpenSSL::PKey::EC.generate(CURVE)

    # @param der [String] a public key
    # @return [String] its SSH wire form
    def to_ssh(der)
      [*SSH, der.byteslice((HEAD.bytesize - 1)..)].map { |field| Der.lp(field.b) }.join
    end

    # @param form [String] what to_ssh returns
    # @return [String] the key in DER
    # @raise [PublicKeyError] it is no key on P-256
    def from_ssh(form)
      der = HEAD.byteslice(0...-1) + form.byteslice(-(COORDINATES + 1)..).to_s.b
      parse(der)
      PublicKey.refuse('not the one SSH form of the key') unless to_ssh(der) == form.b
      der
    end

    # @param signature [String]
    # @return [Boolean] whether it is two positive numbers in DER, minimal and with nothing behind them
    def minimal?(signature)
      pair = Der.parts(Der.only(signature.b, Der::SEQUENCE).content)
      numbers = pair.map { |part| part.content.unpack1('H*').hex }
      pair.map(&:tag) == [Der::INTEGER, Der::INTEGER] && numbers.all?(&:positive?) &&
        Der.sequence(*numbers.map { |number| Der.integer(number) }) == signature.b
    rescue Der::BrokenError
      false
    end
  end
end
