# frozen_string_literal: true

module Xlreg
  module Wire
    # Reads the content of messages, and checks it.
    # @api private
    module Reading
      # A registry adds ID, JoinedMillis and a missing Attrs to a token that may have been as large as
      # a client's can be.
      MAX_REPLY_TOKEN = Limits::MAX_TOKEN + 64
      MAX_DETAIL = 1024

      # Returns the error that an Error stands for; nil if it is another message. Original servers send
      # a text alone, from which the kind is then taken.
      # @return [RegistryError, nil]
      def error
        return unless op == Op::ERROR

        kind, detail = Reading.kind_of(Text.printable(raw.ErrDesc.byteslice(0, MAX_DETAIL)))
        kind = KINDS.fetch(raw.ErrCode, kind)
        kind.new(detail, retry_after: raw.RetryMillis / 1000.0)
      end

      # @return [NodeID] the ID that the registry bound to the node
      def member_ok = Reading.well_formed('MemberID') { NodeID.new(raw.MemberID) }

      # Reads the cluster of a CreateReply, JoinReply or ClusterMembers. Original servers leave fields
      # out; those are empty or zero.
      # @return [Cluster]
      def cluster
        id = Reading.well_formed('ClusterID') { ClusterID.new(raw.ClusterID) }
        name = raw.ClusterName
        Reading.well_formed('ClusterName') { Name.check(name) } unless name.empty?
        if raw.ClusterMaxSize > Limits::MAX_CLUSTER || raw.EndPointCount > Limits::MAX_ENDPOINTS
          raise ProtocolError, "cluster of #{raw.ClusterMaxSize} members with #{raw.EndPointCount} endpoints"
        end

        Cluster.new(id: id, name: name, attrs: raw.ClusterAttrs & ClusterAttrs::KNOWN,
                    size: raw.ClusterMaxSize, endpoint_count: raw.EndPointCount)
      end

      # Reads the tokens of a ClusterMembers, each with its index. Names and endpoints are within the
      # limits; keys, signatures and certificates are as they came, and nobody is verified.
      # @return [Array<Member>]
      def members
        raise ProtocolError, "#{name} instead of ClusterMembers" unless op == Op::CLUSTER_MEMBERS

        which = raw.Which
        indexes = (0..63).select { |n| which[n] == 1 }
        if indexes.size != raw.Tokens.size
          raise ProtocolError, "ClusterMembers with #{indexes.size} bits set and #{raw.Tokens.size} tokens"
        end

        indexes.zip(raw.Tokens.to_a).map { |n, token| Member.new(index: n, token: Reading.roster_token(token)) }
      end

      # Reads a RegCredReply.
      # @return [RegCred]
      def registry
        raise ProtocolError, 'RegCredReply without MemberSpecs' unless raw.MemberSpecs

        Reading.well_formed('RegCredReply') do
          token = Reading.token(raw.MemberSpecs, max_size: MAX_REPLY_TOKEN)
          raise ProtocolError, 'no ID' unless token.id

          RegCred.new(name: token.name, id: token.id, comms_key: token.comms_key, sig_key: token.sig_key,
                      endpoints: token.endpoints, version: DecimalVersion.from_i(raw.Version))
        end
      end

      module_function

      # Converts a token as it came, and holds it against every limit but those on keys.
      # @param raw [Pb::Token]
      # @param max_size [Integer]
      # @return [Token]
      # @raise [IllFormedTokenError] it breaks one
      def token(raw, max_size: Limits::MAX_TOKEN)
        check_sizes(raw, max_size)
        Name.check(raw.Name)
        Token.new(name: raw.Name, attrs: raw.Attrs, comms_key: raw.CommsKey, sig_key: raw.SigKey,
                  endpoints: Endpoint.all(raw.MyEnds.to_a), id: (NodeID.new(raw.ID) unless raw.ID.empty?),
                  digsig: given(raw.DigSig), digsig2: given(raw.DigSig2), certificate: given(raw.Certificate),
                  joined: time(raw.JoinedMillis))
      rescue IllFormedNameError, FormatError => e
        raise IllFormedTokenError, e.message
      end

      def check_sizes(raw, max_size)
        certificate = raw.Certificate.bytesize
        if certificate > Limits::MAX_CERTIFICATE
          raise IllFormedTokenError, "certificate of #{certificate} bytes, at most #{Limits::MAX_CERTIFICATE} allowed"
        end

        alone = raw.has_Certificate? ? Pb::Token.encode(Pb::Token.new(Certificate: raw.Certificate)).bytesize : 0
        size = Pb::Token.encode(raw).bytesize - alone
        raise IllFormedTokenError, "#{size} bytes, at most #{max_size} allowed" if size > max_size
      end

      def given(bytes) = (bytes unless bytes.empty?)

      def time(millis) = (Time.at(millis / 1000r).utc unless millis.zero?)

      def roster_token(raw)
        well_formed("member's token") do
          token(raw, max_size: MAX_REPLY_TOKEN).tap { |found| raise ProtocolError, 'no ID' unless found.id }
        end
      end

      def well_formed(what)
        yield
      rescue Error => e
        raise ProtocolError, "#{what}: #{e.message}"
      end

      # Returns the kind that a description begins with, and what follows its colon.
      def kind_of(text)
        KINDS.each_value do |kind|
          next unless text.start_with?(kind::TEXT)

          rest = text.delete_prefix(kind::TEXT)
          return [kind, rest.delete_prefix(': ')] if rest.empty? || rest.start_with?(': ')
        end
        [ProtocolError, text]
      end
    end
  end
end
