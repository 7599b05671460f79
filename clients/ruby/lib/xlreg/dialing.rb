# frozen_string_literal: true

module Xlreg
  # Which registry to talk to, as which node, and how.
  # @api private
  Options = Struct.new(:target, :node, :protocol, :timing, :route, :unnamed, keyword_init: true) do
    include Value

    # @param route [Route] which of the endpoints to try first
    # @param unnamed [Boolean] the node shows no certificate, so that whoever answers does not learn which it is
    def initialize(route: Route.new, unnamed: false, **members) = super

    # @param target [Target, RegCred, String]
    # @param node [Node, nil]
    # @param protocol [Protocol, String, nil]
    # @param timing [Timing]
    # @return [Options]
    def self.of(target, node: nil, protocol: nil, timing: Timing::DEFAULT)
      new(target: Target.load(target), node: node, protocol: protocol && Protocol.of(protocol), timing: timing)
    end

    # @return [Boolean] whether a classic protocol was chosen; nothing else leads to one
    def classic? = protocol&.classic? || false
  end

  # A session on its connection: the thin skin of I/O around a Session.
  # @api private
  class Link
    HEARING = 1.0 # for the words of a registry that refuses
    private_constant :HEARING

    # @return [Session::Base]
    attr_reader :session
    # @return [Endpoint] to which it leads
    attr_accessor :endpoint

    # @param transport [Transport]
    # @param session [Session::Base]
    def initialize(transport, session)
      @transport = transport
      @session = session
      @met = false # the registry has said something
    end

    # Sends what the session has to send.
    # @param pace [Pace]
    def flush(pace)
      data = session.outgoing
      @transport.write(data, pace) unless data.empty?
    rescue Transport::Broken => e
      hear_refusal
      raise e
    end

    # Gives the session what comes next.
    # @param pace [Pace]
    def pump(pace)
      data = @transport.read(pace) or return session.closed
      @met = true
      session.receive(data)
    rescue Transport::Alert => e
      # In TLS 1.3 a client is done before the server has seen its certificate.
      raise HandshakeError, "refused by the registry: #{e.message}" unless @met

      raise Transport::Broken, e.message
    end

    # Ends the call that is under way in another thread.
    def give_up = @transport.give_up

    # Closes the connection. May be called again.
    def close = @transport.close

    private

    # A registry that refuses a client says why and closes. Its words can still be read after writing has failed.
    def hear_refusal
      pump(Pace.new(Limit.new(HEARING), first: HEARING, stall: HEARING, whole: HEARING)) unless @met
    rescue Transport::Broken, Transport::TimeUp, SessionEndedError
      nil
    end
  end

  # Opens sessions: which protocol, which endpoint, how long to try.
  # @api private
  class Dialing
    FIRST_PAUSE = 0.05
    MOST_PAUSE = 0.5
    REFUSALS = 3 # of something else than a registry, until it is believed: one may be damage on the way

    # @return [Options]
    attr_reader :options
    # @return [Protocol]
    attr_reader :protocol
    # @return [String, nil] the certificate that the node shows, in DER
    attr_reader :shown

    # Asks the registry at an endpoint what key it claims to have. Nothing is proved by that: it is to be shown
    # to someone who knows what it should be.
    # @param endpoint [Endpoint]
    # @param limit [Limit]
    # @return [String] the fingerprint
    # @raise [Error] there is no registry that speaks 2.0
    def self.probe(endpoint, limit)
      timing = Timing::DEFAULT
      pace = Pace.new(limit, first: timing.stall, stall: timing.stall, whole: timing.handshake)
      transport = Transport.connect(endpoint, limit, timing)
      tls = transport.secure(context, pace)
      raise NotARegistryError, "#{endpoint}: it does not speak 2.0" unless tls.alpn_protocol == Session::Modern::ALPN

      PublicKey.fingerprint(Certificate.check_self_signed(tls.peer_cert_chain.to_a.last.to_der))
    rescue Transport::TimeUp
      raise HandshakeError, "#{endpoint}: no answer in time"
    rescue Transport::Foreign => e
      raise NotARegistryError, "#{endpoint}: #{e.message}"
    rescue Transport::Alert, Transport::Broken => e
      raise HandshakeError, "#{endpoint}: #{e.message}"
    ensure
      transport&.close
    end

    # TLS 1.3 and no system roots, since the session checks the registry.
    # @api private
    def self.context
      context = OpenSSL::SSL::SSLContext.new
      context.min_version = OpenSSL::SSL::TLS1_3_VERSION
      context.verify_mode = OpenSSL::SSL::VERIFY_NONE
      context.alpn_protocols = [Session::Modern::ALPN]
      context
    end

    # @return [Boolean] whether the registry is one from before 2.0, as far as its credentials and the
    #   carrier tell
    def original? = protocol.classic? && options.target.cred.protocol.classic?

    # Chooses the protocol, and prepares what the node shows.
    # @param options [Options]
    # @raise [OriginalRegistryError] the credentials are old, and nobody chose
    # @raise [NeedsNodeError] a classic carrier allows nothing without a node
    # @raise [ArgumentError] the choice is impossible
    def initialize(options)
      @options = options
      @protocol = choose_protocol
      @shown = nil
      if protocol.classic? && options.node && !options.node.keys.classic?
        raise PrivateKeyError, "protocol #{protocol} knows RSA keys alone: make a node with such, or speak 2.0"
      end

      if protocol.classic? && !options.node
        raise NeedsNodeError,
              "protocol #{protocol}: no node: this client can only read"
      end

      @context = tls_context unless protocol.classic?
    end

    # Tries all endpoints, in random order, and all of them again after a pause, until the limit ends.
    # @param limit [Limit]
    # @return [Link] whose session is open
    # @raise [UntrustedError] a registry is not the one wanted, and no other endpoint leads to that
    # @raise [NotARegistryError] there is something else at every endpoint
    # @raise [UnreachableError] the limit ended
    def open(limit)
      limit = limit.or_within(options.timing.dial)
      backoff = Backoff.new(FIRST_PAUSE, MOST_PAUSE)
      begin
        open_once(limit)
      rescue UnreachableError
        retry if backoff.pause(limit)
        raise
      end
    end

    # Tries each endpoint once.
    # @param limit [Limit]
    # @return [Link] whose session is open
    # @raise [UntrustedError] a registry is not the one wanted, and no other endpoint leads to that
    # @raise [NotARegistryError] there is something else at every endpoint
    # @raise [UnreachableError] there was no session; that may change, also where a clock is wrong
    def open_once(limit)
      order = options.route.order(options.target.endpoints)
      link, failures = Race.run(order, options.timing.apart(order.size), Error) do |endpoint|
        Text.doing(endpoint) { connect(endpoint, limit).tap { |found| found.endpoint = endpoint } }
      end
      options.route.pass_by(order.take_while { |endpoint| endpoint != link&.endpoint }) unless limit.over?
      return link if link

      failures = as_given(order, failures)
      raise hopeless(failures) || UnreachableError.new(failures)
    end

    private

    # Puts what the endpoints failed with into the order in which these were given, so that it reads the same each time.
    def as_given(order, failures)
      order.zip(failures).sort_by { |endpoint, _| options.target.endpoints.index(endpoint) }.map(&:last)
    end

    # Returns the error that another try cannot mend; nil if there is hope.
    def hopeless(failures)
      untrusted = failures.find { |failure| failure.is_a?(UntrustedError) && !failure.is_a?(ClockError) }
      return untrusted if untrusted

      failures.first if failures.all?(NotARegistryError)
    end

    # Chooses the protocol, and never falls back: an attacker who plants old credentials, or breaks connections,
    # must not get a carrier without integrity out of it.
    def choose_protocol
      chosen = options.protocol
      cred = options.target.cred
      if chosen
        if chosen.classic? && !cred
          raise ArgumentError,
                "protocol #{chosen} needs the registry's regCred file: a URL has no comms key"
        end

        return chosen
      end
      return Protocol::V20 if cred.nil? || !cred.protocol.classic?

      raise OriginalRegistryError, "credentials are of a registry older than protocol 2.0 (version #{cred.version}): " \
                                   "choose protocol #{cred.protocol}, or 2.0 if it has been upgraded since"
    end

    def tls_context
      context = Dialing.context
      show_node(context) if options.node && !options.unnamed
      context
    end

    def show_node(context)
      keys = options.node.keys
      [keys.sig, keys.comms].grep(OpenSSL::PKey::RSA).each { |key| check_modern(key) } unless keys.modern?
      @shown = options.node.certificate
      context.add_certificate(OpenSSL::X509::Certificate.new(@shown), keys.sig)
    end

    def check_modern(key)
      PublicKey.check_numbers(key.n.to_i, key.e.to_i, modern: true)
    rescue PublicKeyError
      raise PrivateKeyError, "key of #{key.n.num_bits} bits with exponent #{key.e}: protocol 2.0 needs " \
                             "#{Limits::MIN_KEY_BITS_MODERN} to #{Limits::MAX_KEY_BITS_MODERN} bits, " \
                             "and an exponent of at most #{Limits::MAX_EXPONENT_MODERN}"
    end

    def connect(endpoint, limit)
      refusals ||= 0
      connect_once(endpoint, limit)
    rescue Transport::Foreign => e
      retry if (refusals += 1) < REFUSALS

      raise NotARegistryError, "this is no registry that speaks 2.0: #{e.message}"
    end

    def connect_once(endpoint, limit)
      timing = options.timing
      transport = Transport.connect(endpoint, limit, timing)
      link = shake(transport, Pace.new(limit.within(timing.handshake), first: timing.stall, stall: timing.stall,
                                                                       whole: timing.handshake))
    rescue Transport::TimeUp
      raise HandshakeError, 'no answer in time'
    rescue Transport::Alert, Transport::Broken => e
      raise HandshakeError, e.message
    ensure
      transport&.close unless link
    end

    def shake(transport, pace) = protocol.classic? ? shake_classic(transport, pace) : shake_modern(transport, pace)

    def shake_classic(transport, pace)
      link = Link.new(transport, Session::Classic.new(protocol, options.target.cred.comms_key))
      link.flush(pace)
      link.pump(pace) until link.session.open?
      link
    end

    def shake_modern(transport, pace)
      target = options.target
      session = Session::Modern.new(fingerprint: target.fingerprint, sig_key: target.cred&.sig_key,
                                    succession: options.node&.registration(target.fingerprint))
      tls = transport.secure(@context, pace)
      session.secured(chain: tls.peer_cert_chain.to_a.map(&:to_der), alpn: tls.alpn_protocol, now: Time.now)
      Link.new(transport, session)
    end
  end
end
