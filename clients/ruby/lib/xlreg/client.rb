# frozen_string_literal: true

module Xlreg
  # One session with a registry.
  #
  # Its methods may be called from any thread and take turns: a session carries one request at a time, so
  # other calls have to wait while one waits for members. close may be called at any time, and ends the call
  # that is under way. A call that is given up in the middle ends the session. So does, over a classic carrier,
  # every error that the registry answers with. Calls after that raise a SessionEndedError.
  #
  # Every method takes a timeout in seconds; the README says how long each may take without one.
  #
  #     Xlreg::Client.open('regCred.dat') do |client|
  #       client.members('web').members.each { |member| puts member.name }
  #     end
  class Client
    # Opens a session. It tries the registry's endpoints in turn until the time is up.
    # @param target [Target, RegCred, String] the registry: an xlreg:// line, the name of a regCred file,
    #   or credentials
    # @param node [Node, nil] the node that speaks; without one the client can only read, and only over 2.0
    # @param protocol [Protocol, String, nil] what to speak; 2.0, unless "1.9" or "1.8" is chosen
    # @param timeout [Numeric, nil] seconds; by default 30
    # @yieldparam client [Client] closed at the end of the block
    # @return [Client, Object] the client, or what the block returns
    # @raise [UntrustedError] a registry cannot prove to be the one wanted
    # @raise [UnreachableError] there was none before the time was up
    # @raise [NotARegistryError] there is a server of something else at every endpoint
    # @raise [OriginalRegistryError] the credentials are of one older than 2.0, and nobody chose a protocol
    # @raise [NeedsNodeError] a classic carrier needs a node
    # @raise [RegCredError] target is none
    # @raise [SystemCallError] the file cannot be read
    def self.open(target, node: nil, protocol: nil, timeout: nil)
      target = Ticket.load(target) if Ticket.line?(target)
      options = Options.of(target, node: node, protocol: protocol)
      client = new(Dialogue.open(options, Limit.new(timeout)))
      return client unless block_given?

      begin
        yield client
      ensure
        client.close
      end
    end

    # @api private
    def initialize(dialogue)
      @dialogue = dialogue
      @timing = dialogue.options.timing
      @turn = Turn.new
    end

    # @return [Protocol] what the session speaks
    def protocol = @dialogue.protocol

    # @return [String] the fingerprint of the registry's sig key, SHA256:…
    def fingerprint = @dialogue.options.target.fingerprint

    # Tells the registry who the node is and where. It proposes the ID that the node has from this
    # registry, so that registering again updates the same node. A new ID is saved with the node first.
    # @param timeout [Numeric, nil]
    # @return [NodeID] the node's ID
    # @raise [NeedsNodeError] there is no node
    # @raise [RegistryError] the registry refuses
    # @raise [SessionEndedError] the session is over
    # @raise [NodeError] the ID cannot be saved
    def register(timeout: nil) = call(timeout) { |limit| @dialogue.register(limit) }

    # Tells the registry who the node is, by the ID that register saved. It changes nothing.
    # @param timeout [Numeric, nil]
    # @return [NodeID] that ID
    # @raise [NotRegisteredError] there is none
    # @raise [BadSignatureError] the registry does not know it
    # @raise [NeedsNodeError] there is no node
    # @raise [SessionEndedError] the session is over
    def login(timeout: nil) = call(timeout) { |limit| @dialogue.login(limit) }

    # Makes a cluster. If the name exists, what exists is returned and nothing changed. The registry must
    # know the node: register or log in first.
    # @param name [String] its name; empty, or with ClusterAttrs::UNIQUE, the registry makes it new
    # @param size [Integer] how many members it is for, 2 to 1024
    # @param endpoint_count [Integer] how many endpoints each member must have, 1 to 16
    # @param attrs [Integer] bits of ClusterAttrs
    # @param owner [OwnerKey, nil] the key of its owner, as the owner's ticket has it; nil is an open cluster
    # @param timeout [Numeric, nil]
    # @return [Cluster]
    # @raise [ClusterSizeError] it exists with another size; its cluster is what exists
    # @raise [IllFormedNameError] the name is none
    # @raise [Needs20Error] over a classic carrier there is no unique name
    # @raise [RegistryError] the registry refuses
    # @raise [SessionEndedError] the session is over
    def create(name = '', size:, endpoint_count: 1, attrs: ClusterAttrs::NONE, owner: nil, timeout: nil)
      wanted = Creation.new(name: name, size: size, endpoint_count: endpoint_count, attrs: attrs, owner: owner)
      call(timeout) { |limit| @dialogue.create(wanted, limit) }
    end

    # Asks what is fixed about a cluster, without its members.
    # @param cluster [String, ClusterID, Cluster, ClusterRef, nil] nil is that of this session's last
    #   create or join
    # @param timeout [Numeric, nil]
    # @return [Cluster]
    # @raise [NoSuchClusterError] there is none
    # @raise [SessionEndedError] the session is over
    def cluster(cluster = nil, timeout: nil) = about(cluster, timeout) { |ref, limit| @dialogue.cluster(ref, limit) }

    # Makes the node a member. Joining again changes nothing but what the others see: what the node
    # registered last.
    # @param cluster [String, ClusterID, Cluster, ClusterRef, nil] nil is that of this session's last create
    # @param timeout [Numeric, nil]
    # @return [Cluster]
    # @raise [NoSuchClusterError] there is none
    # @raise [ClusterFullError] every place is taken
    # @raise [MemberNameInUseError] another member, with another key, has the node's name
    # @raise [TooFewEndpointsError] the cluster asks for more
    # @raise [IdentityRequiredError] the node has not registered or logged in
    # @raise [SessionEndedError] the session is over
    def join(cluster = nil, timeout: nil) = about(cluster, timeout) { |ref, limit| @dialogue.join(ref, limit).cluster }

    # Asks who is in the cluster now. Over 2.0 anyone may ask; over a classic carrier the node has to have
    # registered.
    # @param cluster [String, ClusterID, Cluster, ClusterRef, nil] nil is that of this session's last
    #   create or join
    # @param timeout [Numeric, nil]
    # @return [Roster] verified
    # @raise [NoSuchClusterError] there is none
    # @raise [BadSignatureError] a member's signature or certificate is wrong
    # @raise [SessionEndedError] the session is over
    def members(cluster = nil, timeout: nil) = about(cluster, timeout) { |ref, limit| @dialogue.members(ref, limit) }

    # Waits until the cluster has size members. It takes one request for each 18 seconds, which the registry
    # answers when it is time; one that does not is taken for dead. A server that answers at once, as those before 2.0
    # do, is asked again after pauses that grow from 50 milliseconds to a second.
    # @param cluster [String, ClusterID, Cluster, ClusterRef, nil] nil is that of this session's last
    #   create or join
    # @param size [Integer] 0 is as many as the cluster is made for
    # @param timeout [Numeric, nil] by default for ever
    # @return [Roster] verified
    # @raise [IncompleteError] time was up first; it says who has joined
    # @raise [NoSuchClusterError] there is none
    # @raise [BadSignatureError] a member's signature or certificate is wrong
    # @raise [SessionEndedError] the session is over
    def wait(cluster = nil, size: 0, timeout: nil)
      run(Limit.new(timeout)) { |limit| Waiter.new(@dialogue, ClusterRef.of(cluster), size: size).wait(limit) }
    end

    # Asks for the members as a document that the registry has signed, so that whoever knows the registry can verify it
    # with SignedRoster.load and ask nobody.
    # @param cluster [String, ClusterID, Cluster, ClusterRef, Ticket, nil] nil is that of this session's last
    #   create or join
    # @param timeout [Numeric, nil]
    # @return [SignedRoster] verified
    # @raise [NoSuchClusterError] there is none
    # @raise [Needs20Error] classic carriers have no such thing
    # @raise [SessionEndedError] the session is over
    def signed(cluster = nil, timeout: nil) = about(cluster, timeout) { |ref, limit| @dialogue.signed(ref, limit) }

    # @return [String, nil] the fingerprint of the registry's next sig key, for which the known one vouches, if the
    #   registry has proved itself by that: take it into the configuration
    def next_fingerprint = @dialogue.next_key&.first

    # @return [Time, nil] until when the known key vouches for the next one
    def next_until = @dialogue.next_key&.last

    # Asks from where the registry sees this machine.
    # @param timeout [Numeric, nil]
    # @return [Endpoint] host and port
    # @raise [AddressError] it does not say
    def observed(timeout: nil) = call(timeout) { |limit| @dialogue.observe(limit) }

    # Gives the node's place in the cluster up.
    # @param cluster [String, ClusterID, Cluster, ClusterRef, nil] nil is that of this session's last
    #   create or join
    # @param timeout [Numeric, nil]
    # @return [void]
    # @raise [NotMemberError] it has none
    # @raise [Needs20Error] over a classic carrier there is no leaving
    # @raise [SessionEndedError] the session is over
    def leave(cluster = nil, timeout: nil) = about(cluster, timeout) { |ref, limit| @dialogue.leave(ref, limit) }

    # Asks the registry for its credentials, which have to be those of the one that is connected.
    # @param timeout [Numeric, nil]
    # @return [RegCred]
    # @raise [ProtocolError] they hold another sig key
    # @raise [SessionEndedError] the session is over
    def registry(timeout: nil) = call(timeout) { |limit| @dialogue.registry(limit) }

    # @return [String] says nothing of what is private
    def inspect = "#<Xlreg::Client of #{fingerprint} over #{protocol}>"

    # Says goodbye, waits at most a second for the answer, and ends the session. May be called again.
    # While a call is under way in another thread it ends that instead.
    # @return [void]
    def close
      done = @turn.try { @dialogue.close }
      @dialogue.give_up unless done
    end

    private

    def about(cluster, timeout) = call(timeout) { |limit| yield ClusterRef.of(cluster), limit }

    def call(timeout, &) = run(Limit.new(timeout || @timing.call), &)

    def run(limit)
      @turn.take(limit) do
        yield limit
      ensure
        @dialogue.disconnect if @dialogue.ended
      end
    end
  end

  # Lets threads take turns, none waiting longer than it may.
  # @api private
  class Turn
    def initialize
      @mutex = Mutex.new
      @free = ConditionVariable.new
      @taken = false
    end

    # Runs the block when it is this thread's turn.
    # @param limit [Limit]
    # @raise [DeadlineError] the limit ended first
    def take(limit)
      await(limit)
      begin
        yield
      ensure
        give_back
      end
    end

    # Runs the block if nobody else has the turn.
    # @return [Boolean] whether it ran
    def try
      taken = @mutex.synchronize { @taken ? false : (@taken = true) }
      yield if taken
      taken
    ensure
      give_back if taken
    end

    private

    def await(limit)
      @mutex.synchronize do
        while @taken
          raise DeadlineError, 'time was up while another call was under way' if limit.over?

          @free.wait(@mutex, limit.set? ? limit.left : nil)
        end
        @taken = true
      end
    end

    def give_back
      @mutex.synchronize do
        @taken = false
        @free.signal
      end
    end
  end
end
