# frozen_string_literal: true

module Xlreg
  # A node's place in a cluster that Xlreg.form completed. With a lease a thread of it keeps a session with the
  # registry, which keeps the seat and follows the cluster, until it is closed. Without one there is a connection only
  # while somebody is in watch.
  class Membership
    # @return [Roster] the members as last heard, each signature verified
    attr_reader :roster

    # @return [Float, nil] for how many seconds the seat lasts without a sign of life; nil is for ever. The registry may
    #   have made another of what was asked for
    attr_reader :lease

    # @return [Error, nil] why the node is no member any more, as far as is known: a TwinError, a NewEpochError, a
    #   NotMemberError, or what keeps the lease from being kept. Without a lease, and when nobody watches, only refresh
    #   finds out
    attr_reader :fate

    # @api private
    def initialize(options, roster, place, key: nil, lease: nil, allow_unverified: false, again: nil, heard: Time.now,
                   stranger: nil)
      @options = options
      @strangers = Strangers.new(options.timing.stranger, stranger)
      @again = again
      @heard = heard
      @place = place
      @lease = lease
      @allow_unverified = allow_unverified
      @formed = @roster = check(roster)
      @others = others_in(roster)
      @ref = ClusterRef.new(id: roster.cluster.id, name: roster.cluster.name, key: key)
      @sums = Sums.new(roster)
      @fate = nil
      @mutex = Mutex.new
      @moved = ConditionVariable.new
      @trust = Trust.new(node) { [me, others] }
      @keeper = Keeper.new { keep }
      @keeper.acquire if lease || again
    end

    # @api private
    def self.check_verified(roster, options, allow_unverified)
      strangers = options.classic? || allow_unverified ? [] : roster.unverified
      return roster if strangers.empty?

      names = strangers.map { |member| "#{member.name} (index #{member.index})" }.join(', ')
      raise UnverifiedError.new("members that have proved nothing, since they came over a classic carrier: #{names}",
                                members: strangers)
    end

    # @return [Cluster] the cluster
    def cluster = roster.cluster

    # @return [Node] the node
    def node = @options.node

    # @return [Member] the node itself as a member
    def me = @place.find(roster)

    # @return [Array<Member>] the other members
    attr_reader :others

    # Makes a TLS context for connections from the other verified members, and from nobody else. They are
    # recognised by their certificates in the roster, as it is at each handshake: see watch and refresh. peer tells
    # which member a connection comes from.
    # @return [OpenSSL::SSL::SSLContext]
    # @raise [UnverifiedError] this node has no certificate that the others know
    # @example
    #   server = OpenSSL::SSL::SSLServer.new(listener, membership.server_context)
    #   membership.peer(server.accept).name  # => "m1"
    def server_context = @trust.context(server: true)

    # Makes a TLS context for connections to the other members, or to one of them alone. In TLS 1.3 a
    # client does not know that the other end has refused it until it reads the first byte.
    # @param member [Member, nil] the one to accept; by default each of the others
    # @return [OpenSSL::SSL::SSLContext]
    # @raise [UnverifiedError] this node has no certificate that the others know, or the member is not
    #   verified
    # @raise [StrangerError] the member is none of the others
    # @example
    #   to = membership.others.first
    #   plain = TCPSocket.new(to.endpoints.first.host, to.endpoints.first.port)
    #   tls = OpenSSL::SSL::SSLSocket.new(plain, membership.client_context(to)).connect
    def client_context(member = nil)
      return @trust.context unless member
      raise StrangerError, "#{Text.quote(member.name)} is no other member of the cluster" unless others.include?(member)

      member.certificate # it must have one
      to_one(member).context
    end

    # Tells which member is on the other end of a TLS connection.
    # @param connection [OpenSSL::SSL::SSLSocket] after the handshake
    # @return [Member]
    # @raise [StrangerError] none of the others
    def peer(connection) = @trust.peer(connection.peer_cert&.to_der)

    # Asks the registry who is in the cluster now, and keeps that.
    # @param timeout [Numeric, nil] seconds; by default 60
    # @return [Roster]
    # @raise [NotMemberError] the node itself is no longer in it; what was known before is kept
    # @raise [TwinError] another process with its key has taken its seat
    # @raise [UnverifiedError] some have proved nothing, and that was not allowed; what was known is kept
    # @raise [Error] see Client.open and members
    def refresh(timeout: nil)
      limit = Limit.new(timeout || @options.timing.call)
      Text.doing('refresh roster') do
        before = roster
        take(fuller(read_since(before, limit)), before)
        roster
      end
    end

    # Yields each change of the cluster once, through reconnects and restarts of the registry, until the block breaks or
    # time is up. It begins with what is different from the roster that Xlreg.form returned. Changes that come quickly
    # one after another may come as one. When the block has a change, roster and the TLS contexts have it already. If
    # somebody else answers at the registry's address meanwhile, nothing of what that one says is believed, and watch
    # goes on when the registry is back: see stranger of Xlreg.form.
    # @param timeout [Numeric, nil] seconds; by default for ever
    # @yieldparam change [Change]
    # @return [void]
    # @raise [TwinError] another process with the node's key has taken its seat
    # @raise [NewEpochError] the cluster has started anew
    # @raise [NotMemberError] the node left, was evicted, or lost its lease
    # @raise [NoSuchClusterError] the cluster is gone
    # @raise [ClosedError] the membership was closed
    def watch(timeout: nil, &block)
      raise Needs20Error if @options.classic?
      raise fate unless @keeper.acquire

      begin
        following(Limit.new(timeout), &block)
      ensure
        @keeper.release
      end
    end

    # @return [Time] when the registry last said who is in the cluster
    attr_reader :heard

    # Makes of the roster as last heard what is to be kept in a file for a start without the registry: see
    # SavedRoster.load. It holds no secret, and the node has signed it.
    # @return [String]
    # @raise [Needs20Error] over a classic carrier there is nothing to save
    # @example
    #   File.binwrite('web.saved', membership.save)
    def save
      raise Needs20Error, 'save roster' if @options.classic?

      roster, heard = @mutex.synchronize { [@roster, @heard] }
      SavedFile.encode(roster, node, @options.target.fingerprint, heard)
    end

    # Asks every other member, over mutual TLS and without the registry, what it sees of the cluster: a registry could
    # show each of them another one. Each is asked at its first endpoint, and has to serve it: see serve_sums.
    # @param timeout [Numeric, nil] seconds for each; by default 10
    # @return [Comparison]
    # @raise [OtherRosterError] a member sees another cluster at a revision that this node knows; it names it
    def compare(timeout: nil)
      answers = others.select(&:verified?).map do |member|
        SumQuestion.new(to_one(member).context, member).ask(cluster.id, roster.state.revision,
                                                            Limit.new(timeout || 10.0))
      end
      SumQuestion.compare(@sums, answers)
    end

    # Answers another member that compares what it sees of the cluster with what this node sees, until it closes the
    # connection. Which connections those are, ALPN tells: alpn_protocol is Xlreg::SUM_ALPN.
    # @param connection [OpenSSL::SSL::SSLSocket] of a server_context, after the handshake
    # @return [void]
    def serve_sums(connection) = SumAnswer.new(cluster.id, @sums).serve(connection)

    # Gives the node's place up, and closes the membership. The roster stays as it was.
    # @param timeout [Numeric, nil] seconds; by default 60
    # @return [void]
    # @raise [NotMemberError] the node is not in the cluster
    # @raise [Needs20Error] over a classic carrier there is no leaving
    # @raise [Error] see Client.open and login
    def leave(timeout: nil)
      limit = Limit.new(timeout || @options.timing.call)
      raise Needs20Error if @options.classic?

      Dialogue.open(@options, limit) do |dialogue|
        dialogue.login(limit)
        close
        dialogue.leave(@ref, limit)
      end
    end

    # Ends what the membership does in the background, and waits for it; a watch ends with a ClosedError. The seat stays
    # until its lease runs out, or for ever: leave gives it up. May be called again.
    # @return [void]
    def close
      ended(ClosedError.new)
      @keeper.close
    end

    # @return [String]
    def inspect = "#<Xlreg::Membership of #{node.name} in #{cluster}>"

    private

    def others_in(roster)
      own = @place.find(roster)
      roster.members.reject { |member| own && member.id == own.id }.freeze
    end

    def to_one(member) = Trust.new(node) { [me, [others.find { |other| other.id == member.id }].compact] }

    # Makes heard the last roster, unless the node is no member in it: that is its fate. Before is the one that was
    # known when the registry was asked: if another session has brought a newer one since, that stays.
    def take(heard, before)
      return if overtaken?(heard, before)

      @place.check(heard)
      check(heard)
      @mutex.synchronize do
        next if overtaken?(heard, before)

        @others = others_in(heard)
        @roster = heard
        @heard = Time.now
        @sums.add(heard)
        @moved.broadcast
      end
    rescue RegistryError => e
      ended(e)
      raise
    end

    def overtaken?(heard, before) = Age.past?(@roster, heard) && !Age.past?(before, heard)

    # Notes why the node is no member any more, once.
    def ended(fate)
      @mutex.synchronize do
        @fate ||= fate
        @moved.broadcast
      end
    end

    # Follows the cluster, in a thread of the keeper.
    def keep
      Thread.current.report_on_exception = false
      @strangers.lease = lease
      rejoin if @again
      known = { last: roster, lease: lease, same: method(:hear), strangers: @strangers }
      Follower.new(@options, @ref, **known, &method(:take)).run(Limit.new(nil))
    rescue Error, SystemCallError => e
      ended(e)
    end

    # Takes the seat again that the node had when the roster was saved.
    def rejoin
      @again.run(@strangers) do |now, place, lease|
        @place = place
        @lease = @strangers.lease = lease
        @again = nil
        take(now, roster)
      end
    end

    # Notes that the registry has just said that nothing has changed.
    def hear = @heard = Time.now

    def following(limit)
      seen = @formed
      while (now = another(seen, limit))
        change = Change.between(seen, now)
        seen = now
        yield change if change.any?
      end
    end

    # Waits for another roster than the one that was seen; nil when time is up.
    def another(seen, limit)
      @mutex.synchronize do
        while roster.sum == seen.sum
          raise @fate if @fate
          return if limit.over?

          @moved.wait(@mutex, limit.set? ? limit.left : nil)
        end
        roster
      end
    end

    # Refuses unverified members unless they are allowed: anybody can take a free place over a classic carrier,
    # which proves nothing.
    def check(roster) = Membership.check_verified(roster, @options, @allow_unverified)

    # Reads, and again for a while if that is an older state of the cluster than before.
    def read_since(before, limit)
      age = Age.new
      backoff = Backoff.new(Persistence::FIRST_PAUSE, Persistence::MOST_PAUSE)
      loop do
        heard = read_anywhere(limit)
        return heard unless age.behind?(before, heard, limit) && backoff.pause(limit)
      end
    end

    # Asks each server once, as long as they turn this client away.
    def read_anywhere(limit)
      read(limit)
    rescue TryLaterError, SessionEndedError
      retry if @options.route.another.first && !limit.over?

      raise
    end

    # Asks for the members. An original server tells them only to a node that joins in the same session. There,
    # joining again changes nothing; elsewhere it could take a seat that this node has given up.
    def read(limit)
      read_once(limit)
    rescue WrongStateError
      raise unless @options.classic?

      read_once(limit) { |dialogue| dialogue.join(@ref, limit) if dialogue.original? }
    end

    def read_once(limit)
      Dialogue.open(@options, limit) do |dialogue|
        # Original servers have no log-in. Registering again with the same data does the same on every server.
        dialogue.protocol.classic? ? dialogue.register(limit) : dialogue.recall(roster)
        yield dialogue if block_given?
        dialogue.members(@ref, limit)
      end
    end

    # An original server tells nothing of a cluster but its ID; the rest is known from before.
    def fuller(heard)
      return heard unless heard.cluster.size.zero?

      heard.with(cluster: cluster.with(id: heard.cluster.id))
    end
  end
end
