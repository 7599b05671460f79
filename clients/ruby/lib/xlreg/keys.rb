# frozen_string_literal: true

require 'openssl'

module Xlreg
  # Public keys, RSA or on P-256: PKIX SubjectPublicKeyInfo in DER as they travel, the SSH form, and
  # fingerprints (sections 1.5 and 2.2).
  module PublicKey
    SSH_ALGORITHM = 'ssh-rsa'
    # The sizes and the exponents of RSA keys, over a classic carrier and over 2.0.
    CLASSIC = [Limits::MIN_KEY_BITS..Limits::MAX_KEY_BITS, Limits::MIN_EXPONENT..Limits::MAX_EXPONENT].freeze
    MODERN = [Limits::MIN_KEY_BITS_MODERN..Limits::MAX_KEY_BITS_MODERN,
              Limits::MIN_EXPONENT..Limits::MAX_EXPONENT_MODERN].freeze
    private_constant :SSH_ALGORITHM, :CLASSIC, :MODERN

    module_function

    # Reads exactly one SubjectPublicKeyInfo that holds a key of either kind within the limits.
    # @param der [String]
    # @param modern [Boolean] whether the limits are those of 2.0, which are narrower
    # @return [OpenSSL::PKey::RSA, OpenSSL::PKey::EC]
    # @raise [PublicKeyError] it is none; the text says why
    def parse(der, modern: false)
      P256.public?(der) ? P256.parse(der) : parse_rsa(der, modern: modern)
    end

    # Reads a key that can only be an RSA key: that of a registry, or over a classic carrier.
    # @param der [String]
    # @param modern [Boolean]
    # @return [OpenSSL::PKey::RSA]
    # @raise [PublicKeyError] it is none; the text says why
    def parse_rsa(der, modern: false)
      refuse('want an RSA key') if P256.public?(der)
      n, e = numbers(der)
      check_numbers(n, e, modern: modern)
      refuse('not the one DER form of an RSA key') unless der_of(n, e) == der.b
      OpenSSL::PKey::RSA.new(der)
    rescue OpenSSL::PKey::PKeyError => e
      refuse(e.message)
    end

    # @param key [OpenSSL::PKey::PKey, String] a key, or a public one in DER
    # @return [String] its kind: RSA or P-256
    def kind(key)
      on_curve = key.is_a?(String) ? P256.public?(key) : key.is_a?(OpenSSL::PKey::EC)
      on_curve ? P256::NAME : 'RSA'
    end

    # @param key [OpenSSL::PKey::PKey]
    # @return [Integer] its size
    def bits(key) = key.is_a?(OpenSSL::PKey::EC) ? P256::BITS : key.n.num_bits

    # @param key [OpenSSL::PKey::PKey]
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
    # @return [String] it in the SSH wire form: algorithm, exponent, modulus (RFC 4253, 6.6); or algorithm, curve,
    #   point (RFC 5656, 3.1)
    def to_ssh(der)
      key = parse(der)
      return P256.to_ssh(der) if key.is_a?(OpenSSL::PKey::EC)

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

    # @param der [String] a public key
    # @return [String] the line of it that OpenSSH has
    def line(der)
      form = to_ssh(der)
      "#{ssh_fields(form).first} #{[form].pack('m0')}"
    end

    # Reads what line writes, perhaps followed by a blank and a comment.
    # @param text [String]
    # @return [String] the key in DER
    # @raise [PublicKeyError] it is none
    def from_line(text)
      algorithm, digits, = text.split(' ', 3)
      form = digits.to_s.unpack1('m0')
      refuse('want the kind of a key, and the key in base64') unless ssh_fields(form).first == algorithm.to_s.b
      algorithm == SSH_ALGORITHM ? from_ssh(form) : P256.from_ssh(form)
    rescue ArgumentError => e
      refuse(e.message)
    end

    # @param der [String] a public key of whatever kind
    # @return [String] it as PEM
    def pem(der)
      "-----BEGIN PUBLIC KEY-----\n#{[der].pack('m48')}-----END PUBLIC KEY-----\n"
    end

    # @api private
    def refuse(why) = raise(PublicKeyError, "ill-formed public key: #{why}")

    # @api private
    def numbers(der)
      refuse("#{der.bytesize} bytes") if der.bytesize > Limits::MAX_TOKEN_CLASSIC
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
      [SSH_ALGORITHM.b, mpint(exponent), mpint(modulus)].map { |field| Der.lp(field) }.join
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

  # The two key pairs of a node; both may be the same, and each is of its own kind.
  #
  #     Xlreg::Keys.generate('p256').fingerprint  # => "SHA256:…"
  class Keys
    # What a new key is unless told otherwise: deployed registries and peers know RSA alone.
    DEFAULT = 'rsa2048'
    # What a new key may be.
    KINDS = %w[p256 rsa2048 rsa3072 rsa4096].freeze

    # @return [OpenSSL::PKey::PKey] the pair that others encrypt to
    attr_reader :comms
    # @return [OpenSSL::PKey::PKey] the pair that signs; what the node is known by
    attr_reader :sig
    # @return [String] the public half of comms as it travels
    attr_reader :comms_key
    # @return [String] the public half of sig as it travels
    attr_reader :sig_key

    # @param comms [OpenSSL::PKey::RSA, OpenSSL::PKey::EC] a private key
    # @param sig [OpenSSL::PKey::RSA, OpenSSL::PKey::EC] a private key
    # @raise [PrivateKeyError] a key is of a kind or size that the protocol does not accept
    def initialize(comms:, sig:)
      @comms = comms
      @sig = sig
      @comms_key = PrivateKey.public_der(comms, 'comms key')
      @sig_key = PrivateKey.public_der(sig, 'sig key')
      freeze
    end

    # Makes two new keys.
    # @param kind [String] p256, rsa2048, rsa3072 or rsa4096
    # @return [Keys]
    def self.generate(kind = DEFAULT) = new(comms: generate_one(kind), sig: generate_one(kind))

    # @api private
    def self.generate_one(kind)
      raise ArgumentError, "generate keys: #{Text.quote(kind)}: want #{KINDS.join(', ')}" unless KINDS.include?(kind)

      kind == 'p256' ? P256.generate : OpenSSL::PKey::RSA.new(kind.delete_prefix('rsa').to_i)
    end

    # @param key [OpenSSL::PKey::PKey]
    # @return [String] what it is, in the words of generate
    # @api private
    def self.kind_of(key) = key.is_a?(OpenSSL::PKey::EC) ? 'p256' : "rsa#{key.n.num_bits}"

    # @return [String] the fingerprint of the sig key
    def fingerprint = PublicKey.fingerprint(sig_key)

    # @return [Boolean] whether the keys are such as 2.0 accepts
    def modern?
      [comms_key, sig_key].each { |key| PublicKey.parse(key, modern: true) }
      true
    rescue PublicKeyError
      false
    end

    # @return [Boolean] whether the keys are such as classic carriers accept, which know RSA alone
    def classic? = [comms, sig].all?(OpenSSL::PKey::RSA)

    # @return [String] says nothing of what is private
    def inspect = "#<Xlreg::Keys #{fingerprint}>"
  end

  # Private keys in PEM.
  module PrivateKey
    module_function

    # Reads a key from PEM: PKCS #1, SEC 1, PKCS #8 or, if it is an RSA key, OpenSSH, not encrypted.
    # @param pem [String]
    # @return [OpenSSL::PKey::RSA, OpenSSL::PKey::EC]
    # @raise [PrivateKeyError] it is none, or is encrypted
    def parse(pem)
      return OpenSSHKey.parse(pem) if pem.include?('BEGIN OPENSSH PRIVATE KEY')

      encrypted = false
      key = OpenSSL::PKey.read(pem) { (encrypted = true) && 'none' }
      rsa = key.is_a?(OpenSSL::PKey::RSA) && key.oid == 'rsaEncryption'
      refuse('no private RSA key and none on P-256') unless (rsa || key.is_a?(OpenSSL::PKey::EC)) && key.private?
      public_der(key, 'parse private key')
      key
    rescue OpenSSL::PKey::PKeyError => e
      refuse(encrypted ? ENCRYPTED : e.message)
    end

    # @param path [String] a file
    # @return [OpenSSL::PKey::RSA, OpenSSL::PKey::EC]
    # @raise [PrivateKeyError] there is none in it, or it is encrypted; the error names the file
    def read(path) = Text.doing(path) { parse(File.binread(path)) }

    # @param key [OpenSSL::PKey::PKey]
    # @return [String] PKCS #8 in PEM, not encrypted
    def pem(key) = key.private_to_pem

    ENCRYPTED = 'the key is encrypted: remove its passphrase, with ssh-keygen -p or openssl rsa'

    # @api private
    def refuse(why) = raise(PrivateKeyError, "parse private key: #{why}")

    # @api private
    def public_der(key, what)
      PublicKey.check_numbers(key.n.to_i, key.e.to_i) if key.is_a?(OpenSSL::PKey::RSA)
      PublicKey.der(key).tap { |der| P256.parse(der) if key.is_a?(OpenSSL::PKey::EC) }
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
