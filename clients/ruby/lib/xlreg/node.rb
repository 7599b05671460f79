# frozen_string_literal: true

require 'monitor'

module Xlreg
  # The identity of a process: a name, keys, endpoints, a certificate, and an ID from each registry.
  #
  # It lives in memory (Node.new), or in a directory (init, open, load, ensure) that the Go and Python
  # clients read and write too. It may be used from several threads.
  #
  #     Xlreg::Node.ensure('/var/lib/app/node') { |node| … }
  class Node
    MIN_LIFE = 2 * 3600 # or a new certificate would be due for renewal at once
    private_constant :MIN_LIFE

    # @return [Keys] the node's keys
    attr_reader :keys

    # Makes a node that lives in memory only.
    # @param name [String]
    # @param endpoints [Array<String, Endpoint>] where it is; Xlreg.form finds them out itself
    # @param keys [Keys, nil] new ones by default
    # @param attrs [Integer] bits of NodeAttrs
    # @param labels [Hash{String => String}] see update_labels
    # @param certificate_life [Numeric] seconds; two hours at least
    # @raise [Error] the name or an endpoint is none
    def initialize(name:, endpoints: [], keys: nil, attrs: NodeAttrs::NONE, labels: {},
                   certificate_life: Certificate::DEFAULT_LIFE)
      record = Record.new(name: name, attrs: attrs, endpoints: endpoints)
      setup(keys || Keys.generate, record, certificate_life)
      update_labels(labels)
    end

    class << self
      # Makes a node in a directory, which is created if need be, and takes the writer's lock. Key files that
      # are in the directory already are used; if they contradict the arguments, that is an error.
      # @param path [String] only its owner may write to it
      # @param name [String, nil] by default that in a cert.pem that is there with its keys, or else this machine's,
      #   with digits of the key
      # @param endpoints [Array<String, Endpoint>]
      # @param keys [Keys, nil] new ones by default
      # @param key [String, nil] what new keys are: rsa2048 by default, or p256, rsa3072 or rsa4096
      # @param attrs [Integer] bits of NodeAttrs
      # @param certificate_life [Numeric] seconds
      # @param only_here [Boolean] whether it is the only one on this machine, whose name is then enough
      # @yieldparam node [Node] closed at the end of the block
      # @return [Node, Object] the node, or what the block returns
      # @raise [NodeExistsError] there is one already
      # @raise [NodeInUseError] another process has the lock
      # @raise [NodeError] something else is wrong with the directory, the name or an endpoint
      def init(path, name: nil, endpoints: [], keys: nil, key: nil, attrs: NodeAttrs::NONE,
               certificate_life: Certificate::DEFAULT_LIFE, only_here: false, &block)
        node = Directory.errors("make node in #{path}") do
          Name.check(name) if name
          record = Record.new(name: name || 'unnamed', attrs: attrs, endpoints: endpoints)
          locked(Directory.new(path).tap(&:make)) do |files|
            raise NodeExistsError, 'there is a node already' if files.record?

            made = NodeKeys.fill(files, keys, key)
            chosen = name || Recovery.new(files, made).name || Naming.new_name(made, only_here: only_here)
            make(files, record.with(name: chosen), made, certificate_life)
          end
        end
        node.lend(&block)
      end

      # Opens the node in a directory, and takes the writer's lock.
      # @param path [String]
      # @yieldparam node [Node] closed at the end of the block
      # @return [Node, Object] the node, or what the block returns
      # @raise [NoNodeError] there is none
      # @raise [NodeInUseError] another process has the lock
      # @raise [NodeError] it is damaged, too open, or newer; the text says which file, and the remedy
      def open(path, &)
        node = Directory.errors('open node') do
          # Checked first, so that no lock file is left in a directory of something else.
          locked(Directory.new(path).tap(&:check_node)) do |files|
            read(files).tap { |one| files.write_record(one.send(:record)) if one.recovered? }
          end
        end
        node.lend(&)
      end

      # Reads the node in a directory without taking the lock. Nothing can be saved with it.
      # @param path [String]
      # @return [Node]
      # @raise [NodeError] see open
      def load(path)
        Directory.errors('load node') { read(Directory.new(path).tap(&:check_node)) }
      end

      # Opens the node in a directory, and makes it first if there is none; see open and init.
      # @param path [String]
      # @param name [String, nil] of a new one; see init. One that is there keeps its own.
      # @param only_here [Boolean] see init
      # @yieldparam node [Node] closed at the end of the block
      # @return [Node, Object] the node, or what the block returns
      def ensure(path, name: nil, only_here: false, &block)
        Directory.new(path).record? ? self.open(path, &block) : init(path, name: name, only_here: only_here, &block)
      end

      private

      # Makes a node of a directory while its lock is held, and hands the lock over to it.
      def locked(files)
        lock = files.lock
        begin
          yield(files).tap { |node| node.send(:take, lock) }
        rescue StandardError
          lock.close
          raise
        end
      end

      def make(files, record, keys, life)
        node = allocate
        node.send(:setup, keys, record, life)
        files.remove_certificate # of an earlier try, perhaps under another name
        node.send(:settle, files)
        node
      end

      def read(files)
        node = allocate
        keys = NodeKeys.read(files)
        record = files.read_record
        files.check_no_registry(record, keys)
        known = record || Recovery.new(files, keys).record
        node.send(:setup, keys, known, Certificate::DEFAULT_LIFE, recovered: record.nil?)
        node.send(:take_over, files)
        node
      end
    end

    # @return [String, nil] where the node lives; nil in memory
    def directory = @files&.path

    # @return [Boolean] whether node.json was found empty, as after a power cut, and made anew of what
    #   cert.pem says. The addresses and the IDs that registries gave are lost, and are given anew.
    def recovered? = @recovered

    # @return [String] the node's name
    def name = @record.name

    # @return [Integer] bits of NodeAttrs
    def attrs = @record.attrs

    # @return [Array<Endpoint>] where the node is
    def endpoints = @record.endpoints

    # @return [Array<Registration>] what the node knows of every registry it has been to
    def registrations = @record.registrations

    # @param sig [String] the fingerprint of a registry's sig key
    # @return [Registration, nil] what the node knows of that registry
    def registration(sig) = @record.find(sig)

    # Replaces the node's endpoints; they are on disk when this returns, or nothing has changed.
    # @param endpoints [Array<String, Endpoint>]
    # @return [void]
    # @raise [EndpointError] one of them is none
    # @raise [NodeError] they cannot be saved
    def update_endpoints(endpoints)
      @monitor.synchronize do
        record = @record.with(endpoints: Endpoint.all(endpoints))
        next if record.endpoints == @record.endpoints

        save(record, 'set endpoints')
        forget_signatures
        @certificate = nil unless @certificate&.fits?(token_of)
      end
    end

    # @return [Hash{String => String}] what the node tells the others besides its addresses, over 2.0
    def labels = Labels.decode(@labels)

    # Replaces what the node tells the others besides its addresses, for the rosters that are read after it registers
    # and joins the next time. It is not kept in the node's directory.
    # @param labels [Hash{String => String}] 32 at most, keys in the form of names; 2048 bytes together
    # @return [void]
    # @raise [IllFormedTokenError] they are more, or a key is none
    def update_labels(labels)
      encoded = Labels.encode(labels)
      @monitor.synchronize do
        @labels = encoded
        @signatures.delete(:modern)
      end
    end

    # Saves what is known about a registry, in place of what was known before. It is on disk when this returns.
    # @param registration [Registration]
    # @return [void]
    # @raise [NodeError] it cannot be saved
    def update_registration(registration)
      @monitor.synchronize do
        next if @record.find(registration.sig) == registration

        save(@record.keeping(registration), 'set registration')
      end
    end

    # Returns the node's certificate. A new one is made if there is none, if the hosts have changed, or if a third
    # of its life or less is left.
    # @param now [Time]
    # @return [String] DER
    # @raise [NodeError] a new one cannot be saved
    def certificate(now: Time.now)
      @monitor.synchronize do
        next @certificate.der if @certificate&.serves?(now)

        token = token_of
        der = Certificate.build(token.with(certificate: Certificate.make(keys.sig, token, now: now, life: @life)))
        Directory.errors('save certificate') { @files.write_certificate(der) } if @lock
        @signatures.delete(:modern)
        @certificate = OwnCertificate.new(der)
        der
      end
    end

    # Returns the node's token, signed for protocol, and over 2.0 the certificate that follows from it, which
    # is the one to show in the handshake. Signatures are kept until something that they cover changes.
    # @param protocol [Protocol]
    # @param id [NodeID, nil] to propose
    # @param now [Time]
    # @return [Array(Token, String)] the token, and the certificate or nil
    def token(protocol:, id: nil, now: Time.now)
      @monitor.synchronize do
        token = token_of(id)
        if protocol.classic?
          signature = @signatures[:classic] ||= Signatures.sign_classic(keys.sig, token)
          next [token.with(digsig: signature), nil]
        end

        der = certificate(now: now)
        token = token.with(labels: @labels)
        signature = @signatures[:modern] ||= Signatures.sign_token(keys.sig, token, der)
        comms = @signatures[:comms] ||= Signatures.sign_comms(keys.comms, token)
        [token.with(digsig2: signature, certificate: @certificate.field, comms_sig: comms), der]
      end
    end

    # Releases the lock; after that nothing can be changed. May be called again.
    # @return [void]
    def close
      @monitor.synchronize do
        @lock&.close
        @lock = nil
      end
    end

    # @return [String] says nothing of what is private
    def inspect = "#<Xlreg::Node #{name}#{" in #{directory}" if directory}>"

    # @api private
    def lend
      return self unless block_given?

      begin
        yield self
      ensure
        close
      end
    end

    private

    # What node.json says, and will say.
    attr_reader :record

    def setup(keys, record, life, recovered: false)
      raise ArgumentError, "certificate life of #{life} s: want at least #{MIN_LIFE}" if life < MIN_LIFE

      @keys = keys
      @recovered = recovered
      @monitor = Monitor.new
      # Guarded by the monitor, as is all below.
      @files = @lock = @certificate = @labels = nil
      @record = record
      @life = life
      @signatures = {} # while nothing that they cover changes
    end

    # Takes the directory's lock over.
    def take(lock) = @lock = lock

    # Writes a new node's files, node.json last.
    def settle(files)
      @files = files
      if keys.modern?
        der = certificate
        files.write_certificate(der)
      end
      files.write_record(@record)
    end

    # Takes over the certificate that is there. It can be made anew; only another node's is an error.
    def take_over(files)
      @files = files
      der = files.read_certificate or return
      kept = own_certificate(der)
      @life = [kept.life, MIN_LIFE].max
      @certificate = kept if kept.fits?(token_of) && signed?(der, kept.field)
    end

    def own_certificate(der)
      path = @files.file(Directory::CERTIFICATE)
      kept = Directory.errors(path) { OwnCertificate.new(der) }
      return kept if kept.key == keys.sig_key

      raise NodeError, "#{path} and #{Directory::SIG} hold different keys: if the latter is right, " \
                       'remove the former, and it is made anew'
    end

    def signed?(der, field)
      Certificate.check(token_of.with(certificate: field), der)
      true
    rescue CertificateError
      false
    end

    # What depends on what the node says of itself; the proof of the comms key does not.
    def forget_signatures = @signatures.select! { |what, _| what == :comms }

    def save(record, what)
      if @files
        Directory.errors(what) do
          raise NodeReadOnlyError, 'node is open for reading only' unless @lock

          @files.write_record(record)
        end
      end
      @record = record
    end

    def token_of(id = nil)
      Token.new(name: name, comms_key: keys.comms_key, sig_key: keys.sig_key, endpoints: endpoints,
                attrs: attrs, id: id)
    end
  end

  # A certificate that a node has for itself, read once.
  # @api private
  class OwnCertificate
    # @return [String] DER
    attr_reader :der
    # @return [String, nil] what belongs into the token's certificate; nil if it is none of the agreed form
    attr_reader :field
    # @return [String] its public key as it stands in it
    attr_reader :key

    # @param der [String]
    # @raise [CertificateError] it is none
    def initialize(der)
      @der = der
      found = Certificate.parts(der)
      @key = found.public_key
      @names = found.alternative_names
      @begin, @end = Certificate.dates(Certificate.load(der))
      @field = Certificate.field_of(der)
    end

    # @return [Float] seconds
    def life = @end - @begin

    # @return [String] the node's own name, which comes first
    def name = Text.valid(@names.first&.last.to_s)

    # @param now [Time]
    # @return [Boolean] whether it is valid and has more than a third of its life before it
    def serves?(now) = now >= @begin && @end - now > life / 3

    # @param token [Token]
    # @return [Boolean] whether it is the one that follows from token
    def fits?(token)
      Certificate.build(token.with(certificate: field)) == der
    rescue CertificateError
      false
    end

    # @return [Array<Endpoint>] the hosts that it is for, with some port
    # @raise [EndpointError] it is for something else
    def endpoints
      Endpoint.all(@names.drop(1).map { |tag, content| "#{tag == Der::IP_ADDRESS ? address(content) : content}:1" })
    end

    private

    def address(content)
      text = IPAddr.new_ntoh(content).to_s
      content.bytesize == 4 ? text : "[#{text}]"
    rescue IPAddr::Error => e
      raise EndpointError, e.message
    end
  end
end
