# frozen_string_literal: true

module Xlreg
  # The signatures of nodes: over tokens, over their two keys, and over classic log-ins.
  module Signatures
    # These separate a signature of 2.0 from everything else that the same key may sign.
    TOKEN = "xlreg token 2.0\0".b.freeze
    COMMS = "xlreg comms 2.0\0".b.freeze
    PSS = { salt_length: 32, mgf1_hash: 'SHA256' }.freeze
    private_constant :TOKEN, :COMMS, :PSS

    module_function

    # @param key [OpenSSL::PKey::RSA]
    # @param token [Token]
    # @return [String] the classic signature of a token, its DigSig (section 4.1)
    def sign_classic(key, token) = key.sign('SHA1', classic_text(token))

    # Holds a token's DigSig against its sig key.
    # @param token [Token]
    # @raise [BadSignatureError] it, or the key, is no good
    def verify_classic(token)
      verify_sha1(token.sig_key, token.digsig, classic_text(token), "classic signature of #{Text.quote(token.name)}")
    end

    # @param key [OpenSSL::PKey::RSA]
    # @param salt2 [String] of this session
    # @param id [NodeID]
    # @return [String] what proves over a classic carrier that a client holds the sig key of id (section 5.2)
    def sign_login(key, salt2, id) = key.sign('SHA1', salt2 + id.bytes)

    # Holds what sign_login returned against a key.
    # @raise [BadSignatureError] it, or the key, is no good
    def verify_login(sig_key, salt2, id, digsig)
      verify_sha1(sig_key, digsig, salt2 + id.bytes, "log-in of #{id}")
    end

    # @param key [OpenSSL::PKey::RSA, OpenSSL::PKey::EC] the sig key
    # @param token [Token]
    # @param certificate [String] the one that follows from the token, in DER, to which this binds
    # @return [String] the 2.0 signature of a token, its DigSig2 (section 7.5)
    def sign_token(key, token, certificate) = sign(key, token_text(token, certificate))

    # Holds a token's DigSig2 against its sig key and a certificate. Nothing else in it is looked at.
    # @param token [Token]
    # @param certificate [String]
    # @raise [BadSignatureError] it, or the key, is no good
    def verify_token(token, certificate)
      verify(token.sig_key, token.digsig2, token_text(token, certificate), "2.0 signature of #{Text.quote(token.name)}")
    end

    # @param key [OpenSSL::PKey::RSA, OpenSSL::PKey::EC] the comms key
    # @param token [Token] or anything else that has both public keys
    # @return [String] the proof that a node holds its comms key, its CommsSig
    def sign_comms(key, token) = sign(key, comms_text(token))

    # Holds a token's CommsSig against its comms key.
    # @param token [Token]
    # @raise [BadSignatureError] it, or the key, is no good
    def verify_comms(token)
      verify(token.comms_key, token.comms_sig, comms_text(token),
             "signature of #{Text.quote(token.name)} by the comms key")
    end

    # Signs in the way of 2.0: RSASSA-PSS by an RSA key, ECDSA by one on P-256.
    # @api private
    def sign(key, text)
      return key.sign('SHA256', text) if key.is_a?(OpenSSL::PKey::EC)

      key.sign_pss('SHA256', text, **PSS)
    end

    # @api private
    def verify(der, signature, text, what)
      key = signing_key(der, modern: true)
      raise BadSignatureError, what unless signed?(key, signature.to_s, text)
    end

    # @api private
    def signed?(key, signature, text)
      return holds? { key.verify_pss('SHA256', signature, text, **PSS) } unless key.is_a?(OpenSSL::PKey::EC)

      P256.minimal?(signature) && holds? { key.verify('SHA256', signature, text) }
    end

    # @api private
    def verify_sha1(sig_key, signature, text, what)
      key = signing_key(sig_key, classic: true)
      raise BadSignatureError, what unless holds? { key.verify('SHA1', signature.to_s, text) }
    end

    # @api private
    def holds?
      yield
    rescue OpenSSL::PKey::PKeyError
      false
    ensure
      OpenSSL.errors # empties OpenSSL's queue, which a later call might take for its own
    end

    # @api private
    def signing_key(der, modern: false, classic: false)
      classic ? PublicKey.parse_rsa(der) : PublicKey.parse(der, modern: modern)
    rescue PublicKeyError => e
      raise BadSignatureError, "key: #{e.message}"
    end

    # Runs the fields together without lengths, as deployed peers do.
    # @api private
    def classic_text(token)
      [token.name.b, [token.attrs].pack('Q<'), token.comms_key, token.sig_key,
       *token.endpoints.map { |endpoint| endpoint.to_s.b }].join
    end

    # @api private
    def token_text(token, certificate)
      fields = [token.name.b, [token.attrs].pack('Q<'), token.comms_key, token.sig_key,
                OpenSSL::Digest::SHA256.digest(certificate)]
      ends = token.endpoints.map { |endpoint| Der.lp(endpoint.to_s.b) }
      labels = token.labels ? Der.lp(token.labels) : ''
      [TOKEN, *fields.map { |field| Der.lp(field) }, [ends.size].pack('N'), *ends, labels].join
    end

    # @api private
    def comms_text(token) = COMMS + Der.lp(token.comms_key) + Der.lp(token.sig_key)
  end
end
