# frozen_string_literal: true

module Xlreg
  # Verifies rosters, and remembers the last, so that one that grows is verified once.
  # @api private
  class Verifier
    # @param protocol [Protocol] over which they come
    def initialize(protocol)
      @protocol = protocol
      @last = {}
    end

    # Takes a token that the node itself has signed for verified; the leave of an owner is none of that.
    # @param own [Token]
    def know(own) = @last = { own.id => Member.new(index: 0, token: own, verified: !@protocol.classic?) }

    # Takes the members of a roster that was verified for what they are there.
    # @param roster [Roster]
    def recall(roster) = @last = roster.members.to_h { |member| [member.id, member] }

    # @param roster [Roster] whole
    # @param key [String, nil] of the cluster's owner, if that is known
    # @return [Roster] it with every member verified that can be
    # @raise [BadSignatureError] see Verifier.verify
    # @raise [ProtocolError] see Verifier.verify; or its sum is not that of its members
    def verify(roster, key = nil)
      members = roster.members.map { |member| verify_once(member, roster.cluster, key) }.freeze
      unless @protocol.classic? || Sum.of(roster) == roster.sum
        raise ProtocolError, "the sum of #{roster.cluster} is not that of its members"
      end

      @last = members.to_h { |member| [member.id, member] }
      roster.with(members: members, pinned: !key.nil?)
    end

    # Returns a member as verified if it has all its proofs; as not verified if it has none.
    # @param member [Member]
    # @param protocol [Protocol] over which it came
    # @param cluster [Cluster, nil]
    # @param key [String, nil] of the cluster's owner, who has then to have admitted it
    # @return [Member]
    # @raise [BadSignatureError] a proof is wrong or missing: the roster has been tampered with, or its registry
    #   does not do its part
    # @raise [ProtocolError] its keys are none
    def self.verify(member, protocol, cluster = nil, key = nil)
      token = member.token
      signed = !protocol.classic? && token.proofs.positive?
      Text.doing("member #{Text.quote(token.name)} (#{token.id})") do
        check_keys(token, modern: signed)
        verify_signed(token) if signed
        check_admission(token, cluster, key, signed) if key
      end
      member.with(verified: signed)
    end

    # @api private
    def self.verify_signed(token)
      raise BadSignatureError, 'some of its proofs are missing' unless token.proofs == 3

      Signatures.verify_token(token, Certificate.build(token))
      Signatures.verify_comms(token)
    rescue CertificateError => e
      raise BadSignatureError, "certificate: #{e.message}"
    end

    # @api private
    def self.check_admission(token, cluster, key, signed)
      raise BadSignatureError, 'it has proved nothing' unless signed

      Admission.decode(token.admission).verify(cluster.name, key, token.sig_key)
    rescue AdmissionRefusedError => e
      raise BadSignatureError, "the owner of the cluster has not admitted it: #{e.detail}"
    end

    # @api private
    def self.check_keys(token, modern:)
      { 'comms key' => token.comms_key, 'sig key' => token.sig_key }.each do |what, key|
        PublicKey.parse(key, modern: modern)
      rescue PublicKeyError => e
        raise ProtocolError, "#{what}: #{e.message}"
      end
    end
    private_class_method :verify_signed, :check_admission, :check_keys

    private

    def verify_once(member, cluster, key)
      known = @last[member.id]
      return member if known.equal?(member)
      return member.with(verified: known.verified) if known && proof(known.token) == proof(member.token)

      Verifier.verify(member, @protocol, cluster, key)
    end

    # A token less what is not verified.
    def proof(token) = token.with(id: nil, joined: nil, digsig: nil, seen: nil, lease: nil, run: nil)
  end
end
