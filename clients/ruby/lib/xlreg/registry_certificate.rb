# frozen_string_literal: true

module Xlreg
  # The certificates by which a registry proves who it is (section 7.2).
  module RegistryCertificate
    # Seconds by which a client's clock may differ from a registry's.
    TOLERANCE = 3600
    # The OID of server authentication.
    SERVER = "\x2b\x06\x01\x05\x05\x07\x03\x01".b.freeze
    private_constant :TOLERANCE, :SERVER

    # What a registry's certificates say once they are verified.
    #
    # @!attribute [r] pinned
    #   @return [String] the sig key by which the registry was known
    # @!attribute [r] next_key
    #   @return [String, nil] the one that the leaf is signed by, where that is the registry's next
    # @!attribute [r] next_until
    #   @return [Time, nil] until when the old key's word for the next one holds
    Verified = Struct.new(:pinned, :next_key, :next_until, keyword_init: true) do
      include Value

      # @return [String, nil] the fingerprint of the next key
      def next_fingerprint = next_key && PublicKey.fingerprint(next_key)
    end

    module_function

    # Holds the certificates that a server shows, which proved to hold the key of the first, against what is known of
    # the registry. They are its own if the leaf is signed by its sig key, or by the one for which that key signed a
    # cross certificate: the registry's next key (section 12).
    # @param chain [Array<String>] certificates in DER, leaf first
    # @param sig_key [String, nil] the registry's
    # @param fingerprint [String, nil] of it, where it is not known
    # @param now [Time]
    # @return [Verified]
    # @raise [ClockError] the dates of the leaf alone do not hold
    # @raise [UntrustedError] it is not the registry
    def check(chain, sig_key: nil, fingerprint: nil, now: Time.now)
      refuse('there is none') if chain.empty?

      pinned = sig_key || find_key(chain, fingerprint)
      leaf = Certificate.load(chain[0])
      verified = signer(leaf, chain, pinned, now)
      check_usage(leaf)
      check_dates(leaf, now)
      verified
    rescue FormatError => e
      raise UntrustedError, "registry's certificate: #{e.message}"
    end

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

    # Finds the key that signed the leaf: the pinned one, or that of the cross certificate. One step, no more.
    # @api private
    def signer(leaf, chain, pinned, now)
      pinned_key = PublicKey.parse_rsa(pinned, modern: true)
      return Verified.new(pinned: pinned) if Certificate.signed?(leaf, pinned_key)

      cross = chain[2] && Certificate.load(chain[2])
      unless cross && ca?(cross) && Certificate.signed?(cross, pinned_key)
        refuse("not signed by the registry's sig key")
      end
      next_key = Certificate.public_key(chain[2])
      refuse('not signed by the next key') unless Certificate.signed?(leaf, PublicKey.parse_rsa(next_key, modern: true))
      check_dates(cross, now)
      Verified.new(pinned: pinned, next_key: next_key, next_until: Certificate.dates(cross).last)
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
    def check_usage(leaf)
      no_authority = ["\x30\x00".b, "\x30\x03\x01\x01\x00".b]
      refuse("a CA's") unless (values(leaf, 'basicConstraints') - no_authority).empty?
      refuse('not for servers') unless values(leaf, 'extendedKeyUsage').any? { |value| server?(value) }
    end

    # @api private
    def ca?(certificate)
      values(certificate, 'basicConstraints').any? { |value| value.byteslice(2, 3) == "\x01\x01\xFF".b }
    end

    # @api private
    def values(certificate, oid)
      certificate.extensions.select { |extension| extension.oid == oid }.map(&:value_der)
    rescue OpenSSL::X509::ExtensionError => e
      refuse(e.message)
    end

    # @api private
    def server?(usage)
      Der.parts(Der.only(usage, Der::SEQUENCE).content).any? { |part| part.content == SERVER }
    rescue Der::BrokenError
      false
    end

    # @api private
    def refuse(why) = raise(UntrustedError, "leaf certificate: #{why}")
  end
end
