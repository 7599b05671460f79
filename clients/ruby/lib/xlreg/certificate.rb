# frozen_string_literal: true

module Xlreg
  # The certificate by which a member is known in TLS, signed by itself (section 7.6). It follows from the member's
  # token to the byte, so it never travels: the token's Certificate has what cannot be known otherwise, and whoever
  # needs the certificate builds it.
  module Certificate
    # Seconds for which one is valid unless told otherwise: 90 days.
    DEFAULT_LIFE = 90 * 24 * 3600
    # Seconds before it is made from which one is valid, for peers whose clocks are behind.
    BACKDATE = 3600
    # The last second of the year 9999.
    LAST_SECOND = 253_402_300_799
    SERIAL = 16
    CN_LENGTH = 64
    HEX_LENGTH = 32
    KEY_ID_LENGTH = 20
    # When a year takes four digits.
    FOUR_DIGITS = 2050
    # How each kind of key signs: sha256WithRSAEncryption with NULL, ecdsa-with-SHA256 without parameters.
    ALGORITHMS = { 'RSA' => ['300d06092a864886f70d01010b0500'].pack('H*').freeze,
                   P256::NAME => ['300a06082a8648ce3d040302'].pack('H*').freeze }.freeze
    THIRD_VERSION = ['a003020102'].pack('H*').freeze
    COMMON_NAME = ['0603550403'].pack('H*').freeze
    SERIAL_NUMBER = ['0603550405'].pack('H*').freeze
    # The extensions that are the same in every one: keyUsage, extendedKeyUsage, basicConstraints.
    USES = ['300e0603551d0f0101ff040403020780' \
            '301d0603551d250416301406082b0601050507030106082b06010505070302' \
            '300c0603551d130101ff04023000'].pack('H*').freeze
    SUBJECT_KEY_ID = ['0603551d0e'].pack('H*').freeze
    AUTHORITY_KEY_ID = ['0603551d23'].pack('H*').freeze
    ALT_NAMES = ['0603551d11'].pack('H*').freeze
    private_constant :BACKDATE, :LAST_SECOND, :SERIAL, :CN_LENGTH, :HEX_LENGTH, :KEY_ID_LENGTH, :FOUR_DIGITS,
                     :ALGORITHMS, :THIRD_VERSION, :COMMON_NAME, :SERIAL_NUMBER, :USES, :SUBJECT_KEY_ID,
                     :AUTHORITY_KEY_ID, :ALT_NAMES

    # What a token's Certificate holds: the dates are seconds since 1970.
    # @api private
    Field = Struct.new(:serial, :from, :till, :signature) do
      # @return [String] as it travels
      def to_s = serial + [from, till].pack('Q>Q>') + signature
    end

    module_function

    # Makes the certificate of token's node; the key has to be that of token.
    # @param key [OpenSSL::PKey::RSA, OpenSSL::PKey::EC]
    # @param token [Token]
    # @param now [Time]
    # @param life [Numeric] seconds, from an hour before now
    # @return [String] what belongs into token's certificate, from which build makes it
    def make(key, token, now: Time.now, life: DEFAULT_LIFE)
      from = [0, now.to_i - BACKDATE].max # of a machine whose clock has never been set
      field = Field.new(new_serial, from, from + life.to_i, ''.b)
      raise CertificateError, 'dates outside the years 1970 to 9999' unless dates?(field)

      field.signature = key.sign('SHA256', signed_part(token, field))
      field.to_s.tap { |bytes| build(token.with(certificate: bytes)) }
    end

    # Builds the certificate of token's node. Neither the signature in it is verified, which DigSig2 makes
    # needless, nor are its dates looked at.
    # @param token [Token] with its certificate
    # @return [String] DER
    # @raise [CertificateError] there is none for it
    def build(token)
      field = read_field(token.certificate.to_s)
      built = Der.sequence(signed_part(token, field), algorithm(token), Der.bits(field.signature))
      check_size(built)
      built
    end

    # Makes sure that a certificate is the one of token's node, and signed by its key.
    # @param token [Token] with its certificate
    # @param shown [String] DER
    # @raise [CertificateError] it is another, or not signed so
    def check(token, shown)
      Text.doing("certificate of #{Text.quote(token.name)}") do
        raise CertificateError, 'not the one that follows from the token' unless build(token) == shown.b

        check_own_signature(load(shown), token.sig_key)
      end
    end

    # Takes what a token's certificate holds out of a certificate.
    # @param der [String]
    # @return [String]
    # @raise [CertificateError] it is no certificate of a member
    def field_of(der)
      found = parts(der)
      from, till = dates(load(der)).map(&:to_i)
      field = Field.new(found.serial, from, till, found.signature)
      read_field(field.to_s) if dates?(field)
      field.to_s
    end

    # @param token [Token]
    # @return [Array<Array(Integer, String)>] tag and content of the alternative names: token's name,
    #   and the hosts of its endpoints, each once
    def alternative_names(token)
      hosts = token.endpoints.map do |endpoint|
        address = endpoint.address
        address ? [Der::IP_ADDRESS, address.hton] : [Der::DNS_NAME, endpoint.host.b]
      end
      [[Der::DNS_NAME, token.name.b], *hosts].uniq
    end

    # @param der [String]
    # @return [OpenSSL::X509::Certificate]
    # @raise [CertificateError] it is none
    def load(der)
      OpenSSL::X509::Certificate.new(der).tap do |certificate|
        raise CertificateError, 'certificate does not parse: not its one DER form' unless certificate.to_der == der.b
      end
    rescue OpenSSL::X509::CertificateError => e
      raise CertificateError, "certificate does not parse: #{e.message}"
    end

    # @param certificate [OpenSSL::X509::Certificate]
    # @return [Array(Time, Time)] from when until when it is valid
    # @raise [CertificateError] its dates are none
    def dates(certificate)
      [certificate.not_before, certificate.not_after]
    rescue TypeError, ArgumentError => e # of Time, which Ruby makes of them
      raise CertificateError, "its dates are none: #{e.message}"
    end

    # @param der [String] a certificate
    # @return [String] its public key as it stands in it
    # @raise [CertificateError] it is no certificate
    def public_key(der) = parts(der).public_key

    # Checks that a certificate is signed by its own key, which is one for 2.0. It is all that a TLS
    # handshake with a registry asks of a client.
    # @param der [String]
    # @return [String] the key
    # @raise [CertificateError] it is no such certificate
    def check_self_signed(der)
      check_size(der)
      certificate = load(der)
      public_key(der).tap { |key| check_own_signature(certificate, key) }
    end

    # @api private
    def parts(der)
      Der.certificate(der)
    rescue Der::BrokenError
      raise CertificateError, 'certificate does not parse'
    end

    # @api private
    def check_own_signature(certificate, key)
      key = PublicKey.parse(key, modern: true)
      raise CertificateError, 'not signed by its own key' unless signed?(certificate, key)
    rescue PublicKeyError => e
      raise CertificateError, "certificate: #{e.message}"
    end

    # @param certificate [OpenSSL::X509::Certificate]
    # @param key [OpenSSL::PKey::PKey]
    # @return [Boolean] whether key signed it, in the way of its kind
    # @api private
    def signed?(certificate, key)
      found = parts(certificate.to_der)
      return false unless found.algorithm == ALGORITHMS.fetch(PublicKey.kind(key))
      return false if key.is_a?(OpenSSL::PKey::EC) && !P256.minimal?(found.signature)

      Signatures.holds? { key.verify('SHA256', found.signature, found.signed) }
    end

    # @api private
    def check_size(der)
      return if der.bytesize <= Limits::MAX_CERTIFICATE

      raise CertificateError, "#{der.bytesize} bytes, at most #{Limits::MAX_CERTIFICATE} allowed"
    end

    # @api private
    def read_field(bytes)
      head = SERIAL + 16
      raise CertificateError, "#{bytes.bytesize} bytes to build it from" if bytes.bytesize <= head

      field = Field.new(bytes.byteslice(0, SERIAL), *bytes.byteslice(SERIAL, 16).unpack('Q>Q>'),
                        bytes.byteslice(head..))
      raise CertificateError, 'serial number does not begin with 01 to 7f' unless field.serial.ord.between?(1, 0x7F)
      raise CertificateError, 'dates after the year 9999' unless dates?(field)

      field
    end

    # @api private
    def dates?(field) = [field.from, field.till].all? { |seconds| seconds.between?(0, LAST_SECOND) }

    # @api private
    def new_serial
      bytes = OpenSSL::Random.random_bytes(SERIAL)
      [1 + (bytes.ord % 0x7F)].pack('C') + bytes.byteslice(1..)
    end

    # @api private
    def algorithm(token) = ALGORITHMS.fetch(PublicKey.kind(token.sig_key))

    # All of a certificate but the signature and how it was made.
    # @api private
    def signed_part(token, field)
      sum = OpenSSL::Digest::SHA256.digest(token.sig_key + token.name.b)
      subject = subject(token, sum)
      Der.sequence(THIRD_VERSION, Der.value(Der::INTEGER, field.serial), algorithm(token), subject,
                   Der.sequence(time(field.from), time(field.till)), subject, token.sig_key,
                   Der.value(Der::EXPLICIT3, extensions(token, sum.byteslice(0, KEY_ID_LENGTH))))
    end

    # @api private
    def subject(token, sum)
      hex = sum.unpack1('H*')[0, HEX_LENGTH]
      [[COMMON_NAME, Der::UTF8, token.name[0, CN_LENGTH]], [SERIAL_NUMBER, Der::PRINTABLE, hex]]
        .map { |oid, tag, text| Der.value(Der::SET, Der.sequence(oid, Der.value(tag, text.b))) }
        .then { |sets| Der.sequence(*sets) }
    end

    # @api private
    def time(seconds)
      time = Time.at(seconds).utc
      return Der.value(Der::TIME, time.strftime('%Y%m%d%H%M%SZ')) if time.year >= FOUR_DIGITS

      Der.value(Der::UTC_TIME, time.strftime('%y%m%d%H%M%SZ'))
    end

    # @api private
    def extensions(token, key_id)
      names = alternative_names(token).map { |tag, content| Der.value(tag, content) }
      Der.sequence(USES,
                   extension(SUBJECT_KEY_ID, Der.value(Der::OCTETS, key_id)),
                   extension(AUTHORITY_KEY_ID, Der.sequence(Der.value(Der::KEY_ID, key_id))),
                   extension(ALT_NAMES, Der.sequence(*names)))
    end

    # @api private
    def extension(oid, content) = Der.sequence(oid, Der.value(Der::OCTETS, content))
  end
end
