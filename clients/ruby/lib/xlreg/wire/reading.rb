# frozen_string_literal: true

module Xlreg
  module Wire
    # What one ClusterMembers says. Sets of seats are bits; over a classic carrier it has cluster, given and members.
    #
    # @!attribute [r] seats
    #   @return [Integer] which are taken
    # @!attribute [r] given
    #   @return [Integer] whose members are here
    # @!attribute [r] since
    #   @return [Integer, nil] the revision since which these have changed; nil: it is not about changes
    # @!attribute [r] sum
    #   @return [String] of the whole roster
    # @api private
    Part = Struct.new(:cluster, :state, :seats, :given, :members, :since, :sum, keyword_init: true) do
      include Value

      # @return [Boolean] whether it is the whole roster
      def whole? = since.nil? && given == seats

      # @return [Roster] of its members, not verified
      def roster = Roster.new(cluster: cluster, members: members, state: state, sum: sum)
    end

    # Reads the content of messages, and checks it.
    # @api private
    module Reading
      # What a registry adds to a token that may have been as large as a client's can be.
      SEAT_ROOM = 256 + Limits::MAX_ADMISSION
      # The last millisecond of the year 9999.
      LAST_MILLIS = 253_402_300_799_999
      MAX_DETAIL = 1024

      # Returns the error that an Error stands for; nil if it is another message. Original servers send
      # a text alone, from which the kind is then taken.
      # @return [RegistryError, nil]
      def error
        return unless op == Op::ERROR

        kind, detail = Reading.kind_of(Text.printable(raw.ErrDesc.byteslice(0, MAX_DETAIL)))
        kind = KINDS.fetch(raw.ErrCode, kind)
        more = kind == OrdersChangedError ? { orders: raw.Orders } : {}
        kind.new(detail, retry_after: raw.RetryMillis / 1000.0, **more)
      end

      # @return [NodeID] the ID that the registry bound to the node
      def member_ok = Reading.well_formed('MemberID') { NodeID.new(raw.MemberID) }

      # Reads the cluster of a CreateReply, JoinReply, OrderReply or ClusterMembers. Original servers leave fields
      # out; those are empty or zero.
      # @param classic [Boolean] whether it came over a classic carrier
      # @return [Cluster]
      def cluster(classic: false)
        id = Reading.well_formed('ClusterID') { ClusterID.new(raw.ClusterID) }
        name = raw.ClusterName
        Reading.well_formed('ClusterName') { Name.check(name) } unless name.empty?
        most = classic ? Limits::MAX_CLUSTER_CLASSIC : Limits::MAX_CLUSTER
        if raw.ClusterMaxSize > most || raw.EndPointCount > Limits::MAX_ENDPOINTS
          raise ProtocolError, "cluster of #{raw.ClusterMaxSize} members with #{raw.EndPointCount} endpoints"
        end

        Cluster.new(id: id, name: name, attrs: raw.ClusterAttrs, size: raw.ClusterMaxSize,
                    endpoint_count: raw.EndPointCount, key: (cluster_key unless classic))
      end

      # @return [ClusterState] what the same messages say of it; zeros over a classic carrier
      def state(classic: false)
        return ClusterState.new if classic

        ClusterState.new(epoch: raw.Epoch, revision: raw.Revision, orders: raw.Orders)
      end

      # @return [Float, nil] the lease that a JoinReply says; nil is none
      def lease = (raw.LeaseMillis / 1000.0 unless raw.LeaseMillis.zero?)

      # @return [Endpoint, nil] from where the registry sees this client; nil if it does not say
      def observed = (Reading.well_formed('Observed') { Endpoint.new(raw.Observed) } unless raw.Observed.empty?)

      # Reads a ClusterMembers. Names and endpoints are within the limits; keys, signatures and certificates are as
      # they came, and nobody is verified.
      # @param classic [Boolean] whether it came over a classic carrier
      # @return [Part]
      def part(classic: false)
        raise ProtocolError, "#{name} instead of ClusterMembers" unless op == Op::CLUSTER_MEMBERS

        cluster = cluster(classic: classic)
        seats, given = classic ? [raw.Which, raw.Which] : sets(cluster)
        Part.new(cluster: cluster, state: state(classic: classic), seats: seats, given: given,
                 members: members(given, classic), sum: (raw.Sum unless classic),
                 since: (raw.SinceRevision if raw.has_SinceRevision?))
      end

      # Reads a RegCredReply.
      # @return [RegCred]
      def registry
        raise ProtocolError, 'RegCredReply without MemberSpecs' unless raw.MemberSpecs

        Reading.well_formed('RegCredReply') do
          token = Reading.token(raw.MemberSpecs, max_size: Limits::MAX_TOKEN + SEAT_ROOM)
          raise ProtocolError, 'no ID' unless token.id

          RegCred.new(name: token.name, id: token.id, comms_key: token.comms_key, sig_key: token.sig_key,
                      endpoints: token.endpoints, version: DecimalVersion.from_i(raw.Version))
        end
      end

      # @return [String, nil] the key of the cluster's owner
      # @raise [ProtocolError] it is none
      def cluster_key
        key = raw.ClusterKey
        return if key.empty?

        raise ProtocolError, "ClusterKey of #{key.bytesize} bytes" unless key.bytesize == Limits::CLUSTER_KEY

        key
      end

      def members(given, classic)
        indexes = Seats.list(given)
        if indexes.size != raw.Tokens.size
          raise ProtocolError, "ClusterMembers with #{indexes.size} bits set and #{raw.Tokens.size} tokens"
        end

        indexes.zip(raw.Tokens.to_a).map do |n, token|
          Member.new(index: n, token: Reading.roster_token(token, classic: classic))
        end.freeze
      end

      # Reads whose seats are taken, and whose tokens are here.
      def sets(cluster)
        unless raw.has_SeatSet? && raw.has_WhichSet? && raw.Sum.bytesize == Sum::BYTES
          raise ProtocolError, 'ClusterMembers without SeatSet, WhichSet or Sum'
        end

        seats = Seats.read(raw.SeatSet)
        given = Seats.read(raw.WhichSet)
        strange = (seats & ~Seats.below(cluster.size)) | (given & ~seats)
        return [seats, given] if strange.zero?

        raise ProtocolError, "sets with seats that are not there: #{Text.list(Seats.list(strange))}"
      end

      module_function

      # Converts a token as it came, and holds it against every limit but those on keys.
      # @param raw [Pb::Token]
      # @param classic [Boolean] whether it came over a classic carrier
      # @param max_size [Integer]
      # @return [Token]
      # @raise [IllFormedTokenError] it breaks one
      def token(raw, classic: false, max_size: classic ? Limits::MAX_TOKEN_CLASSIC : Limits::MAX_TOKEN)
        check_sizes(raw, max_size)
        Name.check(raw.Name)
        Token.new(name: raw.Name, attrs: raw.Attrs, comms_key: raw.CommsKey, sig_key: raw.SigKey,
                  endpoints: Endpoint.all(raw.MyEnds.to_a), id: (NodeID.new(raw.ID) unless raw.ID.empty?),
                  digsig: given(raw.DigSig), **(classic ? {} : modern(raw)))
      rescue IllFormedNameError, FormatError => e
        raise IllFormedTokenError, e.message
      end

      # What a node says over 2.0 alone.
      def modern(raw)
        labels = given(raw.Labels)
        Labels.decode(labels)
        { digsig2: given(raw.DigSig2), certificate: given(raw.Certificate), comms_sig: given(raw.CommsSig),
          labels: labels }
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

      # A time that is to be shown to people; nil if there is none.
      def time(millis) = (Time.at(millis / 1000r).utc if millis.between?(1, LAST_MILLIS))

      def roster_token(raw, classic:)
        well_formed("member's token") do
          most = (classic ? Limits::MAX_TOKEN_CLASSIC : Limits::MAX_TOKEN) + SEAT_ROOM
          found = token(raw, classic: classic, max_size: most)
          raise ProtocolError, 'no ID' unless found.id

          classic ? found : found.with(**seat(raw))
        end
      end

      # What a registry says of a member's seat.
      def seat(raw)
        if raw.Admission.bytesize > Limits::MAX_ADMISSION || raw.Run.bytesize > Limits::MAX_RUN
          raise ProtocolError, "Admission of #{raw.Admission.bytesize} bytes, Run of #{raw.Run.bytesize}"
        end

        { joined: time(raw.JoinedMillis), seen: time(raw.SeenMillis), run: given(raw.Run),
          lease: (raw.LeaseMillis / 1000.0 unless raw.LeaseMillis.zero?), admission: given(raw.Admission) }
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
