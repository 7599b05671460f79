# frozen_string_literal: true

module Xlreg
  # The certificate by which a member is known in TLS, signed by itself (section 7.6).
  module Certificate
    # Seconds for which one is valid unless told otherwise: 90 days.
    DEFAULT_LIFE = 90 * 24 * 3600
    # Seconds before it is made from which one is valid, for peers whose clocks are behind.
    BACKDATE = 3600
    CN_LENGTH = 64
    HEX_LENGTH = 32
    KEY_ID_LENGTH = 20
    SERIAL_BITS = 128
    private_constant :BACKDATE, :CN_LENGTH, :HEX_LENGTH, :KEY_ID_LENGTH, :SERIAL_BITS

    module_function

    # Makes the certificate of token's node; the key has to be that of token.
    # @param key [OpenSSL::PKey::RSA]
    # @param token [Token]
    # @param now [Time]
    # @param life [Numeric] seconds, from an hour before now
    # @return [String] DER
    def make(key, token, now: Time.now, life: DEFAULT_LIFE)
      certificate = OpenSSL::X509::Certificate.new
      certificate.version = 2 # which says 3
      certificate.serial = OpenSSL::BN.new(OpenSSL::Random.random_bytes(SERIAL_BITS / 8), 2).to_i | 1
      certificate.subject = certificate.issuer = subject(token)
      certificate.public_key = key
      certificate.not_before = Time.at(now.to_i - BACKDATE)
      certificate.not_after = certificate.not_before + life
      extensions(token).each { |extension| certificate.add_extension(extension) }
      certificate.sign(key, 'SHA256').to_der
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

    # Checks that a certificate is signed by its own RSA key, which is long enough for 2.0. It is all
    # that a TLS handshake with a registry asks of a client.
    # @param der [String]
    # @return [String] the key
    # @raise [CertificateError] it is no such certificate
    def check_self_signed(der)
      certificate = load(der)
      key = parts(der).public_key
      check_own_signature(certificate, key)
      key
    end

    # Checks that a certificate has the form of section 7.6, with token's name and sig key. Dates are
    # not looked at, nor whether the hosts are those of token.
    # @param der [String]
    # @param token [Token]
    # @return [OpenSSL::X509::Certificate]
    # @raise [CertificateError] it has another form
    def check(der, token)
      Text.doing("certificate of #{Text.quote(token.name)}") do
        if der.bytesize > Limits::MAX_CERTIFICATE
          raise CertificateError,
                "#{der.bytesize} bytes, at most #{Limits::MAX_CERTIFICATE} allowed"
        end

        certificate = load(der)
        found = parts(der)
        raise CertificateError, 'its key is not the sig key' unless found.public_key == token.sig_key

        Form.new(token).check(certificate, found)
        check_own_signature(certificate, found.public_key)
        certificate
      end
    end

    # @api private
    def parts(der)
      Der.certificate(der)
    rescue Der::BrokenError
      raise CertificateError, 'certificate does not parse'
    end

    # @api private
    def check_own_signature(certificate, key)
      public_key = PublicKey.parse(key, modern: true)
      good = Signatures.holds? { certificate.verify(public_key) }
      raise CertificateError, 'not signed by its own key' unless good
    rescue OpenSSL::X509::CertificateError
      raise CertificateError, 'not signed by its own key'
    rescue PublicKeyError => e
      raise CertificateError, "certificate: #{e.message}"
    end

    # What makes a member's certificate its own: no two members share name and key.
    # @api private
    def sum(token) = OpenSSL::Digest::SHA256.digest(token.sig_key + token.name.b)

    # @api private
    def names(token) = [token.name[0, CN_LENGTH], sum(token).unpack1('H*')[0, HEX_LENGTH]]

    # @api private
    def key_id(token) = sum(token).byteslice(0, KEY_ID_LENGTH)

    # @api private
    def subject(token)
      name, serial = names(token)
      OpenSSL::X509::Name.new([['CN', name, OpenSSL::ASN1::UTF8STRING],
                               ['serialNumber', serial, OpenSSL::ASN1::PRINTABLESTRING]])
    end

    # @api private
    def extensions(token)
      key_id = key_id(token)
      hosts = alternative_names(token).map do |tag, content|
        OpenSSL::ASN1::ASN1Data.new(content, tag & 0x1F, :CONTEXT_SPECIFIC)
      end
      usages = %w[serverAuth clientAuth].map { |usage| OpenSSL::ASN1::ObjectId(usage) }
      [['basicConstraints', "\x30\x00".b, true], ['keyUsage', "\x03\x02\x07\x80".b, true],
       ['extendedKeyUsage', OpenSSL::ASN1::Sequence(usages).to_der, false],
       ['subjectKeyIdentifier', "\x04\x14".b + key_id, false],
       ['authorityKeyIdentifier', "\x30\x16\x80\x14".b + key_id, false],
       ['subjectAltName', OpenSSL::ASN1::Sequence(hosts).to_der, false]].map do |oid, content, critical|
        OpenSSL::X509::Extension.new(oid, content, critical)
      end
    end

    # The form of section 7.6, as it has to be for one token.
    # @api private
    class Form
      SHA256_WITH_RSA = 'sha256WithRSAEncryption'
      COMMON_NAME = "\x55\x04\x03".b
      SERIAL_NUMBER = "\x55\x04\x05".b
      SUBJECT_KEY_ID = "\x55\x1d\x0e".b
      KEY_USAGE = "\x55\x1d\x0f".b
      ALT_NAMES = "\x55\x1d\x11".b
      BASIC_CONSTRAINTS = "\x55\x1d\x13".b
      AUTHORITY_KEY_ID = "\x55\x1d\x23".b
      EXT_KEY_USAGE = "\x55\x1d\x25".b
      # Server and client authentication.
      USAGES = ["\x2b\x06\x01\x05\x05\x07\x03\x01".b, "\x2b\x06\x01\x05\x05\x07\x03\x02".b].freeze

      # @param token [Token]
      def initialize(token)
        @token = token
      end

      # @param certificate [OpenSSL::X509::Certificate]
      # @param parts [Der::Certificate] the same in pieces
      # @raise [CertificateError] it has another form
      def check(certificate, parts)
        refuse('want version 3') unless certificate.version == 2
        refuse('want a signature with RSA and SHA-256') unless certificate.signature_algorithm == SHA256_WITH_RSA
        serial = certificate.serial.to_i
        refuse("serial number: want 1 to #{SERIAL_BITS} bits") unless serial.positive? && serial < 2**SERIAL_BITS
        check_subject(parts)
        check_extensions(parts.extensions)
      rescue Der::BrokenError
        refuse('does not parse')
      end

      private

      def refuse(why) = raise(CertificateError, why)

      def check_subject(parts)
        refuse('subject and issuer differ') unless parts.issuer == parts.subject.whole
        name, serial = Certificate.names(@token)
        want = [[COMMON_NAME, name.b], [SERIAL_NUMBER, serial.b]]
        refuse('subject is not that of the name and key') unless Der.attributes(parts.subject) == want
      end

      # These six, each once, and no other.
      def check_extensions(extensions)
        found = extensions.to_h { |extension| [extension.oid, extension] }
        unless found.keys.sort == wanted.keys.sort && extensions.size == wanted.size
          refuse('its extensions are not the six that were agreed')
        end
        wanted.each do |oid, (critical, content)|
          as_agreed = found[oid].critical == critical && [nil, found[oid].content].include?(content)
          refuse('an extension is not as agreed') unless as_agreed
        end
        check_usages(inner(found[EXT_KEY_USAGE]))
        check_names(inner(found[ALT_NAMES]))
      end

      def wanted
        @wanted ||= {
          BASIC_CONSTRAINTS => [true, "\x30\x00".b], # CA:FALSE
          KEY_USAGE => [true, "\x03\x02\x07\x80".b], # digitalSignature
          EXT_KEY_USAGE => [false, nil],
          SUBJECT_KEY_ID => [false, "\x04\x14".b + Certificate.key_id(@token)],
          AUTHORITY_KEY_ID => [false, "\x30\x16\x80\x14".b + Certificate.key_id(@token)],
          ALT_NAMES => [false, nil]
        }
      end

      def inner(extension) = Der.parts(Der.only(extension.content, Der::SEQUENCE).content)

      def check_usages(usages)
        return if usages.map(&:content).sort == USAGES

        refuse('extended usage is not server and client authentication')
      end

      def check_names(names)
        own = names.any? { |name| name.tag == Der::DNS_NAME && name.content == @token.name.b }
        refuse('the name is not among the alternative names') unless own
        hosts = names.all? { |name| [Der::DNS_NAME, Der::IP_ADDRESS].include?(name.tag) }
        refuse('alternative names that are no hosts') unless hosts
      end
    end
  end

  # The certificates by which a registry proves who it is (section 7.2).
  module RegistryCertificate
    # Seconds by which a client's clock may differ from a registry's.
    TOLERANCE = 3600
    private_constant :TOLERANCE

    module_function

    # @param chain [Array<String>] certificates in DER, leaf first
    # @param wanted [String] a fingerprint
    # @return [String] the key behind the leaf that has it
    # @raise [UntrustedError] there is none
    def find_key(chain, wanted)
      chain.drop(1).each do |der|
        key = Certificate.public_key(der)
        return key if PublicKey.fingerprint(key) == wanted
      rescue FormatError
        next
      end
      raise UntrustedError, "no certificate has a key with fingerprint #{wanted}"
    end

    # Makes sure that a server which proved to hold the key of a leaf is the registry.
    # @param der [String] the leaf
    # @param sig_key [String] the registry's
    # @param now [Time]
    # @raise [ClockError] its dates alone do not hold
    # @raise [UntrustedError] it is not
    def check_leaf(der, sig_key, now: Time.now)
      key = PublicKey.parse(sig_key, modern: true)
      leaf = Certificate.load(der)
      refuse('not signed by the registry\'s sig key') unless signed?(leaf, key)
      check_usage(leaf)
      check_dates(leaf, now)
    rescue FormatError => e
      raise UntrustedError, "registry's certificate: #{e.message}"
    end

    # A registry renews its certificate every day and dates it back by one, so if the dates do not hold, a
    # clock is wrong.
    # @api private
    def check_dates(leaf, now)
      first, last = Certificate.dates(leaf)
      if now < first - TOLERANCE
        off_by(first - now, now, "not valid before #{Text.time(first)}", 'behind', 'ahead')
      elsif now > last + TOLERANCE
        off_by(now - last, now, "not valid after #{Text.time(last)}", 'ahead', 'behind')
      end
    end

    # @api private
    def off_by(seconds, now, dates, here, there)
      raise ClockError, "clock: this machine's says #{Text.time(now)}, and the registry's certificate is #{dates}: " \
                        "this clock is #{here} by #{Text.duration(seconds)} at least, or the registry's is #{there}"
    end

    # @api private
    def signed?(leaf, key)
      leaf.signature_algorithm == Certificate::Form::SHA256_WITH_RSA && Signatures.holds? { leaf.verify(key) }
    rescue OpenSSL::X509::CertificateError
      false
    end

    # @api private
    def check_usage(leaf)
      values = leaf.extensions.map { |extension| [extension.oid, extension.value_der] }
      constraints = values.select { |oid, _| oid == 'basicConstraints' }
      refuse("a CA's") unless constraints.all? { |_, value| value == "\x30\x00".b || value == "\x30\x03\x01\x01\x00".b }
      usages = values.select { |oid, _| oid == 'extendedKeyUsage' }
      refuse('not for servers') unless usages.any? { |_, value| server?(value) }
    rescue OpenSSL::X509::ExtensionError => e
      refuse(e.message)
    end

    # @api private
    def server?(usage)
      Der.parts(Der.only(usage, Der::SEQUENCE).content).any? { |part| part.content == Certificate::Form::USAGES[0] }
    rescue Der::BrokenError
      false
    end

    # @api private
    def refuse(why) = raise(UntrustedError, "leaf certificate: #{why}")
  end
end
