# frozen_string_literal: true

module Xlreg
  # A roster that its registry has signed, so that whoever knows the registry verifies it offline (section 11.2). It is
  # one ClusterMembers, or several that make a roster whole.
  #
  # @!attribute [r] roster
  #   @return [Roster] whole, and every member's proofs verified
  # @!attribute [r] signed
  #   @return [Time] when it was signed last, by the registry's clock
  # @!attribute [r] registry
  #   @return [RegistryCertificate::Verified] the keys by which the registry was known
  # @!attribute [r] documents
  #   @return [Array<String>] the messages, as they came; see document
  SignedRoster = Struct.new(:roster, :signed, :registry, :documents, keyword_init: true) do
    include Value

    # @param documents [Array<String>] messages
    # @param target [Target, RegCred, Ticket, String] the registry
    # @param cluster_key [String, nil] the key of the cluster's owner, if that is known; a ticket says it
    # @return [SignedRoster]
    # @raise [Error] some part of it is not as it has to be
    def self.verify(documents, target, cluster_key: nil)
      cluster_key ||= target.key if target.is_a?(Ticket)
      Text.doing('signed roster') { SignedParts.new(documents, Target.load(target), cluster_key).verify }
    end

    # Verifies a document, as it is in a file. It asks nobody.
    # @param document [String] what document returned
    # @param target [Target, RegCred, Ticket, String] the registry; a ticket says, too, which cluster it has to be
    # @return [SignedRoster]
    # @raise [Error] some part of it is not as it has to be
    def self.load(document, target)
      target = Ticket.load(target) if Ticket.line?(target)
      verify(SignedParts.split(document), target).tap do |signed|
        next if !target.is_a?(Ticket) || signed.roster.cluster.name == target.cluster

        raise ProtocolError, "signed roster: it is that of #{signed.roster.cluster}"
      end
    end

    # @return [String] all of it, to be kept in a file: each message behind its length
    def document = documents.map { |bytes| Der.lp(bytes) }.join

    # @return [String] the sum for people
    def short_sum = roster.short_sum

    # @param other [SignedRoster] of the same registry
    # @return [Boolean] whether both cannot be true: the registry has signed two rosters of one cluster and revision
    def contradicts?(other)
      place = ->(one) { [one.roster.cluster.id, one.roster.state.revision] }
      place.call(self) == place.call(other) && roster.sum != other.roster.sum
    end

    # @return [String]
    def inspect = "#<Xlreg::SignedRoster #{roster.cluster} #{short_sum}>"
  end

  # Verifies the parts of a signed roster.
  # @api private
  class SignedParts
    CONTEXT = "xlreg signed 2.0\0".b.freeze
    # Bytes of a document: that of the largest cluster with the longest tokens takes half.
    MOST = 32 << 20
    private_constant :CONTEXT, :MOST

    # Takes a document to pieces.
    # @param document [String]
    # @return [Array<String>] messages
    # @raise [ProtocolError] it is none
    def self.split(document)
      raise ProtocolError, "signed roster of #{document.bytesize} bytes" if document.bytesize > MOST

      framing = Codec::Framing.new
      framing.feed(document.b)
      parts = []
      while (text = framing.next_text)
        parts << text
      end
      raise ProtocolError, 'signed roster: it is cut short' if framing.partial?

      parts
    end

    # Makes one roster of all parts, which have to be those of one.
    # @param parts [Array<Wire::Part>]
    # @return [Roster] not verified
    # @raise [ProtocolError] they are not those of one, or not all
    def self.join(parts)
      first = parts[0]
      raise ProtocolError, 'of changes only' if parts.any?(&:since)

      same = parts.uniq { |part| part.to_h.slice(:cluster, :state, :seats, :sum) }.one?
      raise ProtocolError, 'parts of several rosters' unless same

      taken = parts.flat_map { |part| Seats.list(part.given) }.sort
      raise ProtocolError, 'not the members whose seats are taken, each once' unless taken == Seats.list(first.seats)

      first.roster.with(members: parts.flat_map(&:members).sort_by(&:index).freeze)
    end

    # @param sum [String] of a roster
    # @param millis [Integer] when it is signed
    # @return [String] what a registry signs
    def self.text(sum, millis) = CONTEXT + sum + [millis].pack('Q>')

    # @param documents [Array<String>]
    # @param target [Target]
    # @param cluster_key [String, nil]
    def initialize(documents, target, cluster_key)
      raise ProtocolError, 'no document' if documents.empty?

      @documents = documents
      @messages = documents.map { |bytes| Wire::Message.decode(bytes) }
      @target = target
      @cluster_key = cluster_key
    end

    # @return [SignedRoster]
    def verify
      registries = @messages.map { |message| check_signature(message.raw) }
      roster = check_proofs(SignedParts.join(@messages.map(&:part)))
      millis = @messages.map { |message| message.raw.SignedMillis }.max
      SignedRoster.new(roster: roster, signed: Wire::Reading.time(millis), registry: registries.last,
                       documents: @documents)
    end

    private

    # Makes sure that a part is the registry's.
    def check_signature(raw)
      unless raw.has_Sum? && raw.has_SignedMillis? && raw.has_RosterSig? && raw.Chain.to_a.any?
        raise ProtocolError, 'not signed'
      end

      chain = raw.Chain.to_a
      now = Wire::Reading.time(raw.SignedMillis) or raise ProtocolError, 'signed at no time there is'
      verified = RegistryCertificate.check(chain, sig_key: @target.cred&.sig_key, fingerprint: @target.fingerprint,
                                                  now: now)
      check_roster_sig(Certificate.public_key(chain[0]), raw)
      verified
    end

    def check_roster_sig(der, raw)
      key = PublicKey.parse(der, modern: true)
      good = key.is_a?(OpenSSL::PKey::EC) &&
             Signatures.signed?(key, raw.RosterSig, SignedParts.text(raw.Sum, raw.SignedMillis))
      raise BadSignatureError, "the registry's signature" unless good
    rescue PublicKeyError => e
      raise BadSignatureError, e.message
    end

    def check_proofs(roster)
      key = roster.cluster.key
      if @cluster_key && @cluster_key != key
        raise BadSignatureError, "#{roster.cluster} has another key than its owner's"
      end

      Verifier.new(Protocol::V20).verify(roster, key).with(pinned: !@cluster_key.nil?)
    end
  end
end
