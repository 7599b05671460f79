# frozen_string_literal: true

module Xlreg
  # A node's place in a cluster that Xlreg.form completed. It keeps no connection open: refresh and leave connect
  # to the registry anew.
  class Membership
    # @return [Roster] the members as last heard, each signature verified
    attr_reader :roster

    # @api private
    def initialize(options, roster, id, allow_unverified: false)
      @options = options
      @id = id
      @allow_unverified = allow_unverified
      @roster = check(roster)
    end

    # Finds the node in a roster, and checks its key, the only one that it knows for certain.
    # @api private
    def self.check_self(roster, node, id)
      member = roster.by_id(id) or
        raise NotMemberError, "another node of this name and key has taken the place of #{id}, or it left"
      return member if member.token.sig_key == node.keys.sig_key

      raise BadSignatureError, 'the registry shows another key as that of this node'
    end

    # @return [Cluster] the cluster
    def cluster = roster.cluster

    # @return [Node] the node
    def node = @options.node

    # @return [Member] the node itself as a member
    def me = Membership.check_self(roster, node, @id)

    # @return [Array<Member>] the other members
    def others = roster.members.reject { |member| member.id == @id }

    # Makes a TLS context for connections from the other verified members, and from nobody else. They are
    # recognised by their certificates in the roster, so make a new context after refresh. peer tells which member
    # a connection comes from.
    # @return [OpenSSL::SSL::SSLContext]
    # @raise [UnverifiedError] this node has no certificate that the others know
    # @example
    #   server = OpenSSL::SSL::SSLServer.new(listener, membership.server_context)
    #   membership.peer(server.accept).name  # => "m1"
    def server_context = MutualTLS.context(node, me, others, server: true)

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
      return MutualTLS.context(node, me, others) unless member
      raise StrangerError, "#{Text.quote(member.name)} is no other member of the cluster" unless others.include?(member)

      member.certificate # it must have one
      MutualTLS.context(node, me, [member])
    end

    # Tells which member is on the other end of a TLS connection.
    # @param connection [OpenSSL::SSL::SSLSocket] after the handshake
    # @return [Member]
    # @raise [StrangerError] none of the others
    def peer(connection) = MutualTLS.peer(connection.peer_cert&.to_der, others)

    # Asks the registry who is in the cluster now, and keeps that.
    # @param timeout [Numeric, nil] seconds; by default 60
    # @return [Roster]
    # @raise [NotMemberError] the node itself is no longer in it; what was known before is kept
    # @raise [UnverifiedError] some have proved nothing, and that was not allowed; what was known is kept
    # @raise [Error] see Client.open and members
    def refresh(timeout: nil)
      limit = Limit.new(timeout || @options.timing.call)
      Text.doing('refresh roster') do
        heard = fuller(read(limit))
        Membership.check_self(heard, node, @id)
        @roster = check(heard)
      end
    end

    # Gives the node's place up. The roster stays as it was.
    # @param timeout [Numeric, nil] seconds; by default 60
    # @return [void]
    # @raise [NotMemberError] the node is not in the cluster
    # @raise [Needs20Error] over a classic carrier there is no leaving
    # @raise [Error] see Client.open and login
    def leave(timeout: nil)
      limit = Limit.new(timeout || @options.timing.call)
      raise Needs20Error if @options.protocol&.classic?

      Dialogue.open(@options, limit) do |dialogue|
        dialogue.login(limit)
        dialogue.leave(ClusterRef.of(cluster), limit)
      end
    end

    # @return [String]
    def inspect = "#<Xlreg::Membership of #{node.name} in #{cluster}>"

    private

    # Refuses unverified members unless they are allowed: anybody can take a free place over a classic carrier,
    # which proves nothing.
    def check(roster)
      strangers = @options.classic? || @allow_unverified ? [] : roster.unverified
      return roster if strangers.empty?

      names = strangers.map { |member| "#{member.name} (index #{member.index})" }.join(', ')
      raise UnverifiedError.new("members that have proved nothing, since they came over a classic carrier: #{names}",
                                members: strangers)
    end

    # Asks for the members. An original server tells them only to a node that joins in the same session. There,
    # joining again changes nothing; elsewhere it could take a seat that this node has given up.
    def read(limit)
      read_once(limit)
    rescue WrongStateError
      raise unless @options.classic?

      read_once(limit) { |dialogue| dialogue.join(ClusterRef.of(cluster), limit) if dialogue.original? }
    end

    def read_once(limit)
      Dialogue.open(@options, limit) do |dialogue|
        # Original servers have no log-in. Registering again with the same data does the same on every server.
        dialogue.register(limit) if dialogue.protocol.classic?
        yield dialogue if block_given?
        dialogue.members(ClusterRef.of(cluster), limit)
      end
    end

    # An original server tells nothing of a cluster but its ID; the rest is known from before.
    def fuller(heard)
      return heard unless heard.cluster.size.zero?

      heard.with(cluster: cluster.with(id: heard.cluster.id))
    end
  end

  # Mutual TLS from a roster: each member's own certificate is the anchor for it and nobody else.
  # @api private
  module MutualTLS
    module_function

    # Makes a context for connections between me and the verified peers. Host names are not checked, and there are
    # no other roots.
    # @raise [UnverifiedError] I have no certificate that the others know
    def context(node, me, peers, server: false)
      unless me.verified?
        raise UnverifiedError, 'this node has no certificate that the others know: it joined over a classic carrier'
      end

      context = OpenSSL::SSL::SSLContext.new
      context.min_version = OpenSSL::SSL::TLS1_3_VERSION
      context.add_certificate(me.certificate, node.keys.sig)
      prove_each_time(context) if server
      accept(context, peers.select(&:verified?))
      context
    end

    # Finds the peer that a certificate belongs to.
    # @raise [StrangerError] none of them
    def peer(shown, peers)
      peers.find { |member| member.verified? && Certificate.build(member.token) == shown } or
        raise StrangerError, 'the other end is no other member of the cluster'
    end

    # No session is resumed, so that every connection proves who it is from.
    def prove_each_time(context)
      context.session_cache_mode = OpenSSL::SSL::SSLContext::SESSION_CACHE_OFF
      context.options |= OpenSSL::SSL::OP_NO_TICKET
      context.session_id_context = 'xlreg'
    end

    def accept(context, peers)
      store = OpenSSL::X509::Store.new
      store.flags = OpenSSL::X509::V_FLAG_PARTIAL_CHAIN
      peers.each { |member| store.add_cert(member.certificate) }
      known = peers.map { |member| Certificate.build(member.token) }
      context.cert_store = store
      context.verify_mode = OpenSSL::SSL::VERIFY_PEER | OpenSSL::SSL::VERIFY_FAIL_IF_NO_PEER_CERT
      context.verify_hostname = false
      context.verify_callback = ->(good, store_context) { good && known.include?(store_context.current_cert.to_der) }
    end
  end
end
