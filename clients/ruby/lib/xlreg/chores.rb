# frozen_string_literal: true

module Xlreg
  # The commands of the command line that deal with files: nodes and credentials.
  # @api private
  module Chores
    private

    def node_init
      given = [@command[:comms_key], @command[:sig_key]].compact.map { |path| PrivateKey.read(path) }
      keys = Keys.new(comms: given[0], sig: given[1]) unless given.empty?
      Node.init(@command.argument, name: @command[:name], endpoints: @command.endpoint, keys: keys,
                                   key: @command[:key]) { |node| show_node(node) }
    end

    def node_show
      node = Node.load(@command.argument)
      return show_node(node) unless @command.key_alone?

      line = PublicKey.line(node.keys.sig_key)
      @output.json? ? Output.encode('key' => line) : "#{line}\n"
    end

    def show_node(node)
      ends = node.endpoints.map(&:to_s)
      shown = { 'name' => node.name, 'attrs' => node.attrs, 'endpoints' => ends, 'sig' => node.keys.fingerprint,
                'registries' => node.registrations.map(&:to_h) }
      @output.fields(shown, [['name', node.name], ['directory', node.directory], ['sig key', node.keys.fingerprint],
                             ['key bits', key_bits(node.keys.sig)],
                             ['endpoints', ends.empty? ? '-' : ends.join(',')],
                             *node.registrations.map { |one| ["id at #{one.name}", one.id.to_s] }])
    end

    # How large a key is, and of which kind unless that is the usual one.
    def key_bits(key)
      kind = PublicKey.kind(key)
      kind == 'RSA' ? PublicKey.bits(key).to_s : "#{PublicKey.bits(key)} (#{kind})"
    end

    def cred_show = show_cred(RegCred.read(@command.argument))

    def show_cred(cred)
      ends = cred.endpoints.map(&:to_s)
      shown = { 'name' => cred.name, 'id' => cred.id.to_s, 'version' => cred.version.to_s, 'endpoints' => ends,
                'sig' => cred.fingerprint, 'url' => cred.url, 'commsKey' => PublicKey.pem(cred.comms_key),
                'sigKey' => PublicKey.pem(cred.sig_key) }
      shown.delete('url') if cred.protocol.classic?
      @output.fields(shown, [['name', cred.name], ['id', cred.id.to_s], ['version', cred.version.to_s],
                             ['endpoints', ends.join(',')], ['sig key', cred.fingerprint],
                             *([['url', cred.url]] unless cred.protocol.classic?)])
    end

    def cred_url
      cred = RegCred.read(@command.argument)
      if cred.protocol.classic? && @command.protocol != Protocol::V20
        raise RegCredError, "#{@command.argument} is of a registry of version #{cred.version}, which clients need " \
                            'the file itself for; if it has been upgraded since, say --protocol 2.0'
      end
      @output.json? ? Output.encode('url' => cred.url) : "#{cred.url}\n"
    end

    # With --out or in JSON, standard output gets a description instead of the file.
    def cred_fetch
      cred = fetch(Endpoint.new(@command.argument))
      cred.write(@command[:out]) if @command[:out]
      @command[:out] || @output.json? ? show_cred(cred) : cred.to_s
    rescue EndpointError => e
      raise UsageError, e.message
    end

    # Gets the credentials of a registry that proves to hold the key with the fingerprint given or agreed to.
    def fetch(endpoint)
      limit = Limit.new(CLI::REQUEST_SECONDS)
      sig = @command[:sig] || trusted(endpoint, Dialing.probe(endpoint, limit))
      target = Target.new(endpoints: [endpoint], fingerprint: sig)
      Client.open(target, timeout: limit.left) { |client| client.registry(timeout: limit.left) }
    rescue FingerprintError => e
      raise UsageError, "--sig: #{e.message}"
    end

    # Asks the person at the terminal.
    def trusted(endpoint, sig)
      unless @input.tty? && @err.tty?
        raise UsageError, "nobody is here to be asked, and the registry at #{endpoint} only claims to have the key " \
                          "#{sig}: give the fingerprint it should have with --sig"
      end
      @err.write("The registry at #{endpoint} says its key is\n\n  #{sig}\n\n" \
                 "It is the right one only if that is what its operator told you.\nTrust it? [y/N] ")
      return sig if %w[y yes].include?(@input.gets.to_s.strip.downcase)

      raise UntrustedError, 'not trusted, nothing fetched'
    end

    def version
      return "xlreg-rb #{VERSION}\n" if @command.short? && !@output.json?

      protocols = Protocol::ALL.map(&:to_s).reverse
      @output.fields({ 'version' => VERSION, 'ruby' => RUBY_VERSION, 'protocols' => protocols },
                     [['xlreg-rb', VERSION], ['ruby', RUBY_VERSION], ['protocols', protocols.join(' ')]])
    end
  end
end
