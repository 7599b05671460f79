# frozen_string_literal: true

require 'openssl'

module Xlreg
  # RSA public keys: PKIX SubjectPublicKeyInfo in DER as they travel, the SSH form, and fingerprints
  # (sections 1.5 and 2.2).
  module PublicKey
    SSH_ALGORITHM = 'ssh-rsa'
    # The sizes and the exponents of keys, over a classic carrier and over 2.0.
    CLASSIC = [Limits::MIN_KEY_BITS..Limits::MAX_KEY_BITS, Limits::MIN_EXPONENT..Limits::MAX_EXPONENT].freeze
    MODERN = [Limits::MIN_KEY_BITS_MODERN..Limits::MAX_KEY_BITS_MODERN,
              Limits::MIN_EXPONENT..Limits::MAX_EXPONENT_MODERN].freeze
    private_constant :SSH_ALGORITHM, :CLASSIC, :MODERN

    module_function

    # Reads exactly one SubjectPublicKeyInfo that holds an RSA key within the limits.
    # @param der [String]
    # @param modern [Boolean] whether the limits are those of 2.0, which are narrower
    # @return [OpenSSL::PKey::RSA]
    # @raise [PublicKeyError] it is none; the text says why
    def parse(der, modern: false)
      n, e = numbers(der)
      check_numbers(n, e, modern: modern)
      refuse('not the one DER form of an RSA key') unless der_of(n, e) == der.b
      OpenSSL::PKey::RSA.new(der)
    rescue OpenSSL::PKey::PKeyError => e
      refuse(e.message)
    end

    # @param key [OpenSSL::PKey::RSA]
    # @return [String] the key as PKIX SubjectPublicKeyInfo in DER
    def der(key) = key.public_to_der.b

    # Holds a key against the limits of section 1.5.
    # @raise [PublicKeyError] it breaks one
    def check_numbers(modulus, exponent, modern: false)
      sizes, exponents = modern ? MODERN : CLASSIC
      bits = modulus.bit_length
      refuse("#{bits} bits, want #{sizes.min} to #{sizes.max}") unless sizes.cover?(bits)
      refuse('even modulus') if modulus.even?
      return if exponent.odd? && exponents.cover?(exponent)

      refuse("exponent #{exponent}, want an odd one from #{exponents.min} to #{exponents.max}")
    end

    # @param der [String] a public key
    # @return [String] SHA256: and 43 characters of base64, what `ssh-keygen -l` prints
    # @raise [PublicKeyError] it is no key
    def fingerprint(der) = Fingerprint.format(OpenSSL::Digest::SHA256.digest(to_ssh(der)))

    # @param der [String] a public key
    # @return [String] it in the SSH wire form: algorithm, exponent, modulus (RFC 4253, 6.6)
    def to_ssh(der)
      key = parse(der)
      ssh_form(key.n.to_i, key.e.to_i)
    end

    # Reads exactly one RSA key of an allowed size in the form of to_ssh.
    # @param form [String]
    # @return [String] it in DER
    # @raise [PublicKeyError] it is none
    def from_ssh(form)
      algorithm, exponent, modulus, *rest = ssh_fields(form)
      refuse('not an ssh-rsa key') unless modulus && rest.empty? && algorithm == SSH_ALGORITHM
      refuse('too long') if exponent.bytesize > 5 || modulus.bytesize > (Limits::MAX_KEY_BITS / 8) + 1

      n = modulus.unpack1('H*').hex
      e = exponent.unpack1('H*').hex
      check_numbers(n, e)
      # One key has one form, or it would have several fingerprints.
      refuse('not the one SSH form of the key') unless ssh_form(n, e) == form
      der_of(n, e)
    end

    # @param der [String] a public key of whatever kind
    # @return [String] it as PEM
    def pem(der)
      "-----BEGIN PUBLIC KEY-----\n#{[der].pack('m48')}-----END PUBLIC KEY-----\n"
    end

    # @api private
    def refuse(why) = raise(PublicKeyError, "ill-formed RSA public key: #{why}")

    # @api private
    def numbers(der)
      refuse("#{der.bytesize} bytes") if der.bytesize > Limits::MAX_TOKEN
      _, bits = Der.parts(Der.only(der.b, Der::SEQUENCE).content)
      refuse('no key in it') unless bits && bits.tag == Der::BIT_STRING
      pair = Der.parts(Der.only(bits.content.byteslice(1..).to_s, Der::SEQUENCE).content)
      refuse('not two numbers') unless pair.map(&:tag) == [Der::INTEGER, Der::INTEGER]
      pair.map { |part| part.content.unpack1('H*').hex }
    rescue Der::BrokenError
      refuse('does not parse')
    end

    # @api private
    def der_of(modulus, exponent)
      pair = OpenSSL::ASN1::Sequence([OpenSSL::ASN1::Integer(modulus), OpenSSL::ASN1::Integer(exponent)])
      kind = OpenSSL::ASN1::Sequence([OpenSSL::ASN1::ObjectId('rsaEncryption'), OpenSSL::ASN1::Null(nil)])
      OpenSSL::ASN1::Sequence([kind, OpenSSL::ASN1::BitString(pair.to_der)]).to_der
    end

    # @api private
    def ssh_form(modulus, exponent)
      fields = [SSH_ALGORITHM.b, mpint(exponent), mpint(modulus)]
      fields.map { |field| [field.bytesize].pack('N') + field }.join
    end

    # @api private
    def mpint(number) = [number.to_s(16).rjust(((number.bit_length / 8) + 1) * 2, '0')].pack('H*')

    # @api private
    def ssh_fields(form)
      fields = []
      at = 0
      while at < form.bytesize
        length = form.byteslice(at, 4).unpack1('N')
        refuse('cut short') if length.nil? || length > form.bytesize - at - 4
        fields << form.byteslice(at + 4, length)
        at += 4 + length
      end
      fields
    end
  end

  # Fingerprints of sig keys, by which people tell registries apart.
  module Fingerprint
    module_function

    # @param digest [String] 32 bytes
    # @return [String] SHA256:…
    def format(digest) = "SHA256:#{[digest].pack('m0').delete('=')}"

    # @param text [String] in base64 or base64url without padding, with or without SHA256: before it
    # @return [String] the 32 bytes
    # @raise [FingerprintError] it is none
    def parse(text)
      digits = text.delete_prefix('SHA256:').tr('-_', '+/')
      digest = %r{\A[A-Za-z0-9+/]{43}\z}.match?(digits) ? "#{digits}=".unpack1('m0') : ''
      return digest if format(digest) == "SHA256:#{digits}" && digest.bytesize == 32

      raise FingerprintError, "fingerprint #{Text.quote(text)}: want SHA256: and 43 characters of base64"
    rescue ArgumentError
      raise FingerprintError, "fingerprint #{Text.quote(text)}: not the one base64 form"
    end

    # @param text [String]
    # @return [String] it in its one form, SHA256:…
    def normalize(text) = format(parse(text))
  end

  # The two key pairs of a node; both may be the same.
  #
  #     Xlreg::Keys.generate.fingerprint  # => "SHA256:…"
  class Keys
    # Bits of a new key.
    DEFAULT_BITS = 2048
    # Bits that a new key may have.
    SIZES = [2048, 3072, 4096].freeze

    # @return [OpenSSL::PKey::RSA] the pair that others encrypt to
    attr_reader :comms
    # @return [OpenSSL::PKey::RSA] the pair that signs; what the node is known by
    attr_reader :sig
    # @return [String] the public half of comms as it travels
    attr_reader :comms_key
    # @return [String] the public half of sig as it travels
    attr_reader :sig_key

    # @param comms [OpenSSL::PKey::RSA] a private key
    # @param sig [OpenSSL::PKey::RSA] a private key
    # @raise [PrivateKeyError] a key is of a size that the protocol does not accept
    def initialize(comms:, sig:)
      @comms = comms
      @sig = sig
      @comms_key = PrivateKey.public_der(comms, 'comms key')
      @sig_key = PrivateKey.public_der(sig, 'sig key')
      freeze
    end

    # Makes two new keys.
    # @param bits [Integer] 2048, 3072 or 4096
    # @return [Keys]
    def self.generate(bits: DEFAULT_BITS)
      raise ArgumentError, "generate keys: #{bits} bits: want 2048, 3072 or 4096" unless SIZES.include?(bits)

      new(comms: OpenSSL::PKey::RSA.new(bits), sig: OpenSSL::PKey::RSA.new(bits))
    end

    # @return [String] the fingerprint of the sig key
    def fingerprint = PublicKey.fingerprint(sig_key)

    # @return [Boolean] whether the sig key is one that 2.0 accepts
    def modern?
      PublicKey.check_numbers(sig.n.to_i, sig.e.to_i, modern: true)
      true
    rescue PublicKeyError
      false
    end

    # @return [String] says nothing of what is private
    def inspect = "#<Xlreg::Keys #{fingerprint}>"
  end

  # RSA private keys in PEM.
  module PrivateKey
    module_function

    # Reads a key from PEM: PKCS #1, PKCS #8 or OpenSSH, not encrypted.
    # @param pem [String]
    # @return [OpenSSL::PKey::RSA]
    # @raise [PrivateKeyError] it is none, or is encrypted
    def parse(pem)
      return OpenSSHKey.parse(pem) if pem.include?('BEGIN OPENSSH PRIVATE KEY')

      encrypted = false
      key = OpenSSL::PKey.read(pem) { (encrypted = true) && 'none' }
      refuse('no private RSA key') unless key.is_a?(OpenSSL::PKey::RSA) && key.oid == 'rsaEncryption' && key.private?
      public_der(key, 'parse private key')
      key
    rescue OpenSSL::PKey::PKeyError => e
      refuse(encrypted ? ENCRYPTED : e.message)
    end

    # @param path [String] a file
    # @return [OpenSSL::PKey::RSA]
    # @raise [PrivateKeyError] there is none in it, or it is encrypted; the error names the file
    def read(path) = Text.doing(path) { parse(File.binread(path)) }

    # @param key [OpenSSL::PKey::RSA]
    # @return [String] PKCS #8 in PEM, not encrypted
    def pem(key) = key.private_to_pem

    ENCRYPTED = 'the key is encrypted: remove its passphrase, with ssh-keygen -p or openssl rsa'

    # @api private
    def refuse(why) = raise(PrivateKeyError, "parse private key: #{why}")

    # @api private
    def public_der(key, what)
      PublicKey.check_numbers(key.n.to_i, key.e.to_i)
      PublicKey.der(key)
    rescue PublicKeyError => e
      raise PrivateKeyError, "#{what}: #{e.message}"
    end
  end

  # The form in which OpenSSH keeps private keys, which OpenSSL does not read.
  # @api private
  module OpenSSHKey
    MAGIC = "openssh-key-v1\0"
    ARMOUR = /-----BEGIN OPENSSH PRIVATE KEY-----(.*)-----END OPENSSH PRIVATE KEY-----/m

    module_function

    def parse(pem)
      data = pem[ARMOUR, 1].to_s.unpack1('m').b
      PrivateKey.refuse('not in the form of OpenSSH') unless data.start_with?(MAGIC.b)
      cipher, _, _, rest = cut(data.byteslice(MAGIC.bytesize..), 3)
      PrivateKey.refuse(PrivateKey::ENCRYPTED) unless cipher == 'none'
      PrivateKey.refuse('several keys in one file') unless rest.unpack1('N') == 1
      _, secret, = cut(rest.byteslice(4..), 2)
      key(secret)
    end

    def key(secret)
      checks = secret.unpack('NN')
      PrivateKey.refuse('damaged') unless checks[0] && checks[0] == checks[1]
      kind, *numbers, _rest = cut(secret.byteslice(8..), 7)
      PrivateKey.refuse("#{Text.quote(kind)} is not an RSA key") unless kind == 'ssh-rsa'
      rsa(numbers.map { |number| OpenSSL::BN.new(number, 2).to_i })
    end

    def rsa(numbers)
      modulus, public_exponent, exponent, inverse, first, second = numbers
      PublicKey.check_numbers(modulus, public_exponent)
      all = [0, modulus, public_exponent, exponent, first, second,
             exponent % (first - 1), exponent % (second - 1), inverse]
      sequence = OpenSSL::ASN1::Sequence(all.map { |number| OpenSSL::ASN1::Integer(number) })
      OpenSSL::PKey::RSA.new(sequence.to_der)
    rescue OpenSSL::PKey::PKeyError, PublicKeyError, ZeroDivisionError => e
      PrivateKey.refuse(e.message)
    end

    # Cuts count strings off the front; returns them and the rest.
    def cut(data, count)
      fields = Array.new(count) do
        length = data.unpack1('N')
        PrivateKey.refuse('cut short') if length.nil? || length > data.bytesize - 4
        field = data.byteslice(4, length)
        data = data.byteslice((4 + length)..)
        field
      end
      [*fields, data]
    end
  end
end
