# frozen_string_literal: true

module Xlreg
  # The protocol, over TLS between members, by which they compare what they see of their cluster (section 11.3).
  SUM_ALPN = 'xlreg-sum/1'

  # Mutual TLS from a roster: each member's own certificate is the anchor for it and nobody else. Who is a member is
  # asked at each handshake, so that one that left is refused from the next on, and a new one let in.
  # @api private
  class Trust
    # @param node [Node]
    # @yieldreturn [Array(Member, Array<Member>)] the node itself as a member, and the peers, as they are now
    def initialize(node, &now)
      @node = node
      @now = now
      @mutex = Mutex.new
      @members = nil # of whom the certificates are known
      @known = {}
    end

    # Makes a context for connections with the peers. Host names are not checked, and there are no other roots.
    # @param server [Boolean]
    # @return [OpenSSL::SSL::SSLContext]
    # @raise [UnverifiedError] the node has no certificate that the others know
    def context(server: false)
      me, = @now.call
      unless me.verified?
        raise UnverifiedError, 'this node has no certificate that the others know: it joined over a classic carrier'
      end

      context = OpenSSL::SSL::SSLContext.new
      context.min_version = OpenSSL::SSL::TLS1_3_VERSION
      context.add_certificate(me.certificate, @node.keys.sig)
      if server
        prove_each_time(context)
        context.alpn_select_cb = ->(offered) { offered.find { |one| one == SUM_ALPN } || offered.first }
      end
      verify(context)
      context
    end

    # @param der [String, nil] a certificate
    # @return [Member] the peer whose it is
    # @raise [StrangerError] none of them
    def peer(der) = known[der] || raise(StrangerError, 'the other end is no other member of the cluster')

    private

    # No session is resumed, so that every connection proves who it is from.
    def prove_each_time(context)
      context.session_cache_mode = OpenSSL::SSL::SSLContext::SESSION_CACHE_OFF
      context.options |= OpenSSL::SSL::OP_NO_TICKET
      context.session_id_context = 'xlreg'
    end

    # A certificate that is a peer's to the byte needs nothing more than to be within its dates: the handshake proves
    # who holds its key.
    def verify(context)
      context.cert_store = OpenSSL::X509::Store.new
      context.verify_mode = OpenSSL::SSL::VERIFY_PEER | OpenSSL::SSL::VERIFY_FAIL_IF_NO_PEER_CERT
      context.verify_hostname = false
      context.verify_callback = lambda do |_, store|
        store.error_depth.zero? && valid?(store.current_cert)
      end
    end

    def valid?(certificate)
      known.key?(certificate.to_der) && Time.now.between?(certificate.not_before, certificate.not_after)
    end

    # Returns the peers by their certificates.
    def known
      _, peers = @now.call
      @mutex.synchronize do
        next @known if @members.equal?(peers)

        @members = peers
        @known = peers.select(&:verified?).to_h { |member| [Certificate.build(member.token), member] }
      end
    end
  end
end
