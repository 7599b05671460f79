# frozen_string_literal: true

module Xlreg
  # What a cluster is to be created with.
  # @api private
  Creation = Struct.new(:name, :size, :endpoint_count, :attrs, :owner, keyword_init: true) do
    include Value

    def initialize(owner: nil, **rest) = super

    # Looks at it before it is sent.
    # @param classic [Boolean] whether it goes over a classic carrier
    # @raise [Error] the name is none, or the carrier cannot carry it
    # @raise [ArgumentError] a number is out of range
    def check(classic:)
      Name.check(name) unless name.empty?
      most = classic ? Limits::MAX_CLUSTER_CLASSIC : Limits::MAX_CLUSTER
      unless size.between?(Limits::MIN_CLUSTER, most)
        raise ArgumentError, "size #{size}: want #{Limits::MIN_CLUSTER} to #{most}"
      end
      unless endpoint_count.between?(1, Limits::MAX_ENDPOINTS)
        raise ArgumentError, "#{endpoint_count} endpoints: want 1 to #{Limits::MAX_ENDPOINTS}"
      end
      raise Needs20Error, 'unique name: needs protocol 2.0' if classic && unique?

      check_owner(classic) if owner
    end

    # @return [Wire::Message] it, signed if it has an owner
    def request
      numbers = { size: size, endpoint_count: endpoint_count, attrs: attrs }
      return Wire::Requests.create(name: name, **numbers) unless owner

      Wire::Requests.create(name: name, key: owner.public_key, sig: owner.sign_create(name, **numbers), **numbers)
    end

    # @return [ClusterRef] what its reply has to be about
    def ref = ClusterRef.new(name: unique? ? '' : name, key: owner&.public_key)

    # @return [Boolean] whether the registry makes the name new
    def unique? = !(attrs & ClusterAttrs::UNIQUE).zero?

    private

    def check_owner(classic)
      raise Needs20Error, 'cluster with an owner: needs protocol 2.0' if classic

      return unless name.empty? || unique?

      raise ArgumentError,
            'a cluster with an owner has a name of its own, which nobody makes new'
    end
  end

  # A place in a cluster.
  #
  # @!attribute [r] cluster
  #   @return [Cluster]
  # @!attribute [r] state
  #   @return [ClusterState] after the Join
  # @!attribute [r] lease
  #   @return [Float, nil] for how many seconds it lasts without a sign of life; nil is for ever
  Seat = Struct.new(:cluster, :state, :lease, keyword_init: true) do
    include Value
  end

  # One session with a registry: each method says a request and reads its reply.
  # @api private
  class Dialogue
    include News

    # After these a registry ends a 2.0 session; over a classic carrier, after all.
    ENDING = [WrongStateError, BadTagError, UnexpectedTypeError, ProtocolError].freeze
    private_constant :ENDING

    # @return [Options]
    attr_reader :options
    # @return [Protocol]
    attr_reader :protocol
    # @return [Error, nil] why the session is over; nil while it is not
    attr_reader :ended

    # @return [Boolean] whether the registry is one from before 2.0, by its credentials. It may have been
    #   upgraded since, so what is done for an original has to work with every other.
    attr_reader :original
    alias original? original

    # @return [Float, nil] when the registry was heard last, by the clock of the limit
    attr_reader :heard_at

    # @return [Endpoint, nil] from where the registry sees this client; nil before it has said so
    attr_reader :observed

    # Opens a session; see Dialing.
    # @param options [Options]
    # @param limit [Limit]
    # @param once [Boolean] whether to try each endpoint only once
    # @yieldparam dialogue [Dialogue] closed at the end of the block
    # @return [Dialogue, Object] the dialogue, or what the block returns
    def self.open(options, limit, once: false)
      dialing = Dialing.new(options)
      link = Text.doing('dial registry') { once ? dialing.open_once(limit) : dialing.open(limit) }
      dialogue = new(dialing, link, limit.now)
      return dialogue unless block_given?

      begin
        yield dialogue
      ensure
        dialogue.close
      end
    end

    def initialize(dialing, link, heard_at)
      @options = dialing.options
      @protocol = dialing.protocol
      @original = dialing.original?
      @shown = dialing.shown
      @link = link
      @session = link.session
      @heard_at = heard_at
      @ended = @observed = nil
      @clusters = {}
      @revisions = Hash.new(0)
      @current = nil # the cluster of the last create or join
      @verifier = Verifier.new(protocol)
    end

    # Says a request and returns its reply, or raises the error that the registry answers with. In the
    # protocol each reply's Op is its request's and one.
    # @param message [Wire::Message]
    # @param limit [Limit]
    # @param patience [Float] seconds for the answer to begin
    # @return [Wire::Message]
    def ask(message, limit, patience: timing.answer)
      raise SessionEndedError, "session with the registry ended: #{ended.message}" if ended

      reply = exchange(message, limit, patience)
      error = listed(reply.error)
      turn_away(error.retry_after) if error.is_a?(TryLaterError)
      if error
        @ended = error if protocol.classic? || ENDING.any? { |kind| error.is_a?(kind) }
        raise error
      end
      return reply if reply.op == message.op + 1

      raise misbehaved("#{reply.name} in answer to #{message.name}")
    end

    # Says goodbye, waits at most a second for the answer, and closes. May be called again.
    def close
      ask(Wire::Requests.bye, Limit.new(timing.bye)) unless ended
    rescue Error
      nil # that the registry does not answer changes nothing
    ensure
      @ended ||= SessionEndedError.new('client was closed')
      disconnect
    end

    # Has the next session begin with another server.
    # @param told [Float] after how many seconds this one said to come back
    def turn_away(told = 0.0) = options.route.leave(@link.endpoint, told: told)

    # Closes the connection without a word.
    def disconnect = @link.close

    # Ends the call that is under way in another thread.
    def give_up = @link.give_up

    # @return [Array(String, Time), nil] the fingerprint of the registry's next sig key, and until when the known one
    #   vouches for it; nil unless the registry has proved itself by it
    def next_key
      verified = @session.verified
      [verified.next_fingerprint, verified.next_until] if verified&.next_key
    end

    # Asks from where the registry sees this client.
    # @return [Endpoint]
    # @raise [AddressError] it does not say
    def observe(limit)
      raise Needs20Error, 'observed: needs protocol 2.0' if protocol.classic?

      reply = ask(Wire::Requests.reg_cred, limit)
      @observed = read do
        reply.observed
      end or raise AddressError, 'the registry does not say from where it sees this node'
    end

    # Tells the registry who the node is and where; the ID it gives is saved before this returns.
    # @return [NodeID]
    def register(limit)
      Text.doing('register') do
        token, certificate = node.token(protocol: protocol, id: proposal)
        # The signature covers the certificate of this session's handshake.
        raise broken('the certificate of the node was renewed after this session began') if certificate != @shown

        reply = ask(Wire::Requests.member(token), limit)
        id = read { reply.member_ok }
        @observed = read { reply.observed }
        @verifier.know(token.with(id: id))
        remember(id, limit)
        id
      end
    end

    # Tells the registry who the node is, by the ID that register saved.
    # @return [NodeID]
    def login(limit)
      Text.doing('log in') do
        known = node.registration(fingerprint) or raise NotRegisteredError
        proof = Signatures.sign_login(node.keys.sig, @session.salt2, known.id) if protocol.classic?
        reply = ask(Wire::Requests.login(known.id, proof), limit)
        id = read { reply.member_ok }
        raise misbehaved("logged in as #{id} instead of #{known.id}") unless id == known.id

        id
      end
    end

    # Asks the registry for its credentials.
    # @return [RegCred]
    def registry(limit)
      Text.doing('get credentials') { credentials(limit) }
    end

    # Makes a cluster, or gets the one that has the name.
    # @param wanted [Creation]
    # @return [Cluster]
    def create(wanted, limit)
      Text.doing("create #{ClusterRef.new(name: wanted.name)}") do
        wanted.check(classic: protocol.classic?)
        # There, all clusters without a name are one.
        wanted = wanted.with(name: Name.made_up) if original? && wanted.name.empty?
        found = cluster_of(ask(wanted.request, limit), wanted.ref)
        Dialogue.check_size(found, wanted.size)
        @current = found
      end
    end

    # Asks what is fixed about a cluster, and for none of its members.
    # @param ref [ClusterRef]
    # @return [Cluster]
    def cluster(ref, limit)
      request = Wire::Requests.get(known(ref), classic: protocol.classic?, which: 0)
      Text.doing("get #{ref}") { cluster_of(ask(request, limit), ref) }
    end

    # Looks for the seat of a key; it verifies nothing.
    # @param sig_key [String]
    # @param ref [ClusterRef]
    # @return [Member, nil]
    def seat_of(sig_key, ref, limit)
      receive(ref, limit).members.find { |member| member.token.sig_key == sig_key }
    end

    # Asks how far a cluster has come.
    # @param ref [ClusterRef]
    # @return [Array(ClusterID, Integer)] its ID, and how many orders its owner has given
    def state_of(ref, limit)
      reply = ask(Wire::Requests.get(ref, classic: false, which: 0), limit)
      [cluster_of(reply, ref).id, reply.state.orders]
    end

    # Gives an order of a cluster's owner.
    # @param bytes [String]
    # @param sig [String]
    # @param ref [ClusterRef] what it is about
    # @return [Cluster]
    def order(bytes, sig, ref, limit)
      raise Needs20Error if protocol.classic?

      Text.doing('give order') { cluster_of(ask(Wire::Requests.order(bytes, sig), limit), ref) }
    end

    # Makes the node a member.
    # @param ref [ClusterRef]
    # @param entry [Wire::Entry] how, over 2.0
    # @return [Seat]
    def join(ref, limit, entry = Wire::Entry::PLAIN)
      Text.doing("join #{ref}") do
        raise Needs20Error if protocol.classic? && (ref.key || entry.fresh || entry.lease)

        reply = ask(Wire::Requests.join(ref, protocol.classic? ? Wire::Entry::PLAIN : entry), limit)
        @current = cluster_of(reply, ref)
        Seat.new(cluster: @current, state: reply.state(classic: protocol.classic?),
                 lease: (reply.lease unless protocol.classic?))
      end
    end

    # Gives the node's place up.
    # @param ref [ClusterRef]
    def leave(ref, limit)
      Text.doing("leave #{ref}") do
        raise Needs20Error if protocol.classic?

        ask(Wire::Requests.leave(ref), limit)
        nil
      end
    end

    # Asks who is in a cluster now, and verifies them.
    # @param ref [ClusterRef]
    # @return [Roster]
    def members(ref, limit)
      Text.doing("get members of #{ref}") { verify(receive(ref, limit), ref.key) }
    end

    # Asks for all members. They are not verified yet.
    # @param ref [ClusterRef]
    # @param patience [Float] seconds for the first answer to begin
    # @param wait [Hash] wait_size, wait_millis and, over 2.0, wait_epoch
    # @return [Roster]
    def receive(ref, limit, patience: timing.answer, **wait)
      Gathering.new(self, limit).run(known(ref), patience, wait)
    end

    # @param roster [Roster]
    # @param key [String, nil] of the cluster's owner, if that is known
    # @return [Roster] it verified; see Verifier
    def verify(roster, key = nil) = read { @verifier.verify(roster, key) }

    # Makes the verifier know what was verified in an earlier session.
    # @param roster [Roster]
    def recall(roster) = @verifier.recall(roster)

    # Refuses a cluster of another size than wanted. 0 is one that is not known, or not asked for.
    # @raise [ClusterSizeError] it has another
    def self.check_size(cluster, want)
      return if want.zero? || cluster.size.zero? || cluster.size == want

      raise ClusterSizeError.new("#{cluster} is made for #{cluster.size} members, not #{want}", cluster: cluster)
    end

    # Ends the session with a registry that breaks the protocol.
    # @return [ProtocolError]
    def misbehaved(detail) = @ended = ProtocolError.new(detail)

    # Runs the block, which reads a reply, and ends the session if its content is not what it has to be.
    def read
      yield
    rescue RegistryError => e
      @ended = e
      raise
    end

    # Reads the cluster of a reply, which has to be the one asked for.
    def cluster_of(reply, asked)
      cluster = read { reply.cluster(classic: protocol.classic?) }
      raise misbehaved("cluster #{cluster.id} instead of #{asked.id}") if asked.id && cluster.id != asked.id
      raise @ended = BadSignatureError.new("#{cluster} with another key") if asked.key && cluster.key != asked.key

      complete(asked.id.nil? && !asked.name.empty? ? named(cluster, asked) : cluster)
    end

    # Refuses a revision that is older than one shown before: in a session a registry does not go back.
    def no_older(cluster, revision)
      last = @revisions[cluster.id]
      raise misbehaved("revision #{revision} of #{cluster} after revision #{last}") if revision < last

      @revisions[cluster.id] = revision
    end

    private

    # @return [String] the fingerprint of the key by which the registry is known in this session
    def proved = @session.verified ? PublicKey.fingerprint(@session.verified.pinned) : fingerprint

    def named(cluster, asked)
      raise misbehaved("#{cluster} instead of #{asked}") unless ['', asked.name].include?(cluster.name)
      raise misbehaved("#{cluster} with an owner instead of the open one") if cluster.key != asked.key

      cluster.with(name: asked.name)
    end

    def node = options.node || raise(NeedsNodeError)

    def timing = options.timing

    def fingerprint = options.target.fingerprint

    def exchange(message, limit, patience)
      @session.say(message)
      @link.flush(pace(limit, timing.stall))
      reply = await(pace(limit, patience))
      @heard_at = limit.now
      reply
    rescue Transport::TimeUp, Transport::Broken, Transport::Alert => e
      turn_away unless limit.over?
      raise broken(e.is_a?(Transport::TimeUp) ? 'no answer from the registry' : e.message)
    rescue Error => e
      turn_away if e.is_a?(SessionEndedError)
      @ended = e
      raise
    rescue ArgumentError # nothing was said
      reply = message
      raise
    ensure
      # The call was given up in the middle, so its answer would be taken for that of the next request.
      @ended ||= SessionEndedError.new('a call was given up in the middle') unless reply
    end

    def pace(limit, first) = Pace.new(limit, first: first, stall: timing.stall, whole: timing.message)

    def await(pace)
      @link.pump(pace) until (reply = @session.next_message)
      reply
    end

    def broken(cause)
      @ended = SessionEndedError.new(cause)
      SessionEndedError.new("session with the registry ended: #{cause}")
    end

    # Original servers also answer with texts that are not in the list, for example when another node has just
    # created the cluster. The next try may succeed.
    def listed(error)
      return error unless original? && error.instance_of?(ProtocolError)

      TryLaterError.new(error.detail)
    end

    # Returns ref by ID if this session has seen the cluster: original servers look for members by nothing
    # else.
    def known(ref)
      return ref if !original? || ref.id

      found = ref.none? ? @current : @clusters.each_value.find { |cluster| cluster.name == ref.name }
      found ? ClusterRef.new(id: found.id) : ref
    end

    # Returns the ID that the registry gave the node before, or else a random one, since servers from before 2.0
    # expect a client to choose. Over 2.0 the registry knows a node by its key, and proposals are of no use.
    def proposal
      return unless protocol.classic?

      known = node.registration(fingerprint)
      known ? known.id : NodeID.new(OpenSSL::Random.random_bytes(20))
    end

    def remember(id, limit)
      target = options.target
      known = node.registration(fingerprint)
      heard = Registration.new(sig: fingerprint, name: known&.name.to_s, endpoints: target.endpoints, id: id,
                               succession: next_key || known&.succession)
      return if known == heard

      name = target.cred&.name || heard.name
      name = credentials(limit).name if name.empty?
      node.update_registration(heard.with(name: name))
    end

    def credentials(limit)
      reply = ask(Wire::Requests.reg_cred, limit)
      cred = read { reply.registry }
      proven = [fingerprint, proved, next_key&.first]
      raise misbehaved('credentials with another sig key') unless proven.include?(cred.fingerprint)

      cred
    end

    # Fills in what an original server left out of a cluster, from earlier replies.
    def complete(cluster)
      known = @clusters[cluster.id]
      cluster = cluster.with(name: known.name) if known && cluster.name.empty?
      cluster = known.with(name: cluster.name) if known && cluster.size.zero?
      @clusters[cluster.id] = cluster
    end
  end
end
