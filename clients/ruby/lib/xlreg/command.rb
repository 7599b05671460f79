# frozen_string_literal: true

require 'optparse'

module Xlreg
  # The command line itself is wrong.
  # @api private
  class UsageError < StandardError; end

  # The part of a command line that gives a ticket, and says what is done with it.
  # @api private
  module TicketLine
    # What may be given a ticket; of the second half a ticket is the first thing.
    TICKETED = ['join', 'get', 'leave', 'verify', 'ticket invite', 'ticket admit', 'ticket reader', 'ticket show',
                'evict', 'revoke', 'reopen', 'delete'].freeze
    OPTIONAL_TICKET = %w[join get leave verify].freeze
    # What takes the name of a cluster from it.
    TAKEN_FROM_TICKET = %w[join get leave].freeze
    # @return [Boolean]
    def fresh? = @given.fetch(:fresh, false)

    # @return [Boolean]
    def watch? = @given.fetch(:watch, false)

    # @return [Boolean]
    def ban? = @given.fetch(:ban, false)

    # @return [Boolean]
    def yes? = @given.fetch(:yes, false)

    # @return [Hash{String => String}, nil]
    def labels = @given[:label]

    # @return [Array<String>] what verify is given
    def files = [argument, *@more].compact

    # @return [Boolean] whether there is a ticket. One in the environment is for commands that name no cluster, and no
    #   registry
    def ticket? = TICKETED.include?(verb) && !(ticket_text || ticket_file).nil?

    # @return [String, nil] the line of a ticket; - stands for standard input
    def ticket_text = @line || usable(:ticket)

    # @return [String, nil] a file that holds a ticket
    def ticket_file = (usable(:ticket_file) unless ticket_text)

    private

    def ticket_like?(word) = word == '-' || (word && Pasted.url?(Pasted.clean(word)))

    # Returns a flag that is about a ticket, unless it is from the environment, and the command is about something else.
    def usable(flag)
      value = @given[flag]
      return if value.nil? || (@surroundings.include?(flag) && OPTIONAL_TICKET.include?(verb) && elsewhere?)

      value
    end

    def elsewhere? = verb == 'verify' ? @given.key?(:registry) && !@surroundings.include?(:registry) : !argument.nil?

    def check_ticket
      fail_usage('a ticket needs protocol 2.0') if ticket? && protocol&.classic?
      return if ticket? || OPTIONAL_TICKET.include?(verb)

      fail_usage('give a ticket: as TICKET, with --ticket-file FILE, in XLREG_TICKET, or - for standard input')
    end
  end

  # A command line of exe/xlreg-rb, checked as far as it alone tells. Flags that are not given are taken
  # from the environment: --registry is XLREG_REGISTRY, and so on.
  # @api private
  class Command
    include TicketLine

    UNITS = { 'h' => 3600, 'm' => 60, 's' => 1, 'ms' => 1e-3, 'us' => 1e-6, 'µs' => 1e-6, 'ns' => 1e-9 }.freeze
    SHARED = %i[output registry node protocol].freeze
    TICKET = %i[ticket ticket_file].freeze
    # Each command: what it takes, its flags, and what it is for.
    VERBS = {
      'join' => ['NAME', [*SHARED, *TICKET, :name, :endpoint, :size, :create, :wait, :allow_unverified, :label, :fresh],
                 'become a member of a cluster'],
      'get' => ['NAME', [*SHARED, *TICKET, :wait, :watch, :signed], 'show who is in a cluster'],
      'create' => ['[NAME]', [*SHARED, :name, :size, :endpoints, :unique], 'make a cluster'],
      'leave' => ['NAME', [*SHARED, *TICKET], 'give a place in a cluster up'],
      'verify' => ['FILE…', [:output, :registry, *TICKET], "verify what 'get --signed' wrote, and ask nobody"],
      'ticket new' => ['NAME', %i[output registry size endpoints out], "make the owner's ticket of a new cluster"],
      'ticket invite' => ['', [:output, *TICKET, :uses, :for, :out], 'make a ticket by which others become members'],
      'ticket admit' => ['NODE', [:output, *TICKET, :out], 'make a ticket by which one node becomes a member'],
      'ticket reader' => ['', [:output, *TICKET, :out], 'make a ticket that admits nobody'],
      'ticket show' => ['', [:output, *TICKET], 'show what a ticket is for'],
      'evict' => ['MEMBER', [:output, *TICKET, :ban], 'put a member out of a cluster, as its owner'],
      'revoke' => ['FILE', [:output, *TICKET], 'make an invite admit nobody any more, as the owner'],
      'reopen' => ['', [:output, *TICKET], 'begin a cluster anew, as its owner'],
      'delete' => ['', [:output, *TICKET, :yes], 'delete a cluster for good, as its owner'],
      'node init' => ['DIR', %i[output name endpoint key sig_key comms_key], 'make a node'],
      'node show' => ['DIR', %i[output], 'show a node'],
      'cred show' => ['FILE', %i[output], "show a registry's credentials"],
      'cred url' => ['FILE', %i[output protocol], 'print the xlreg:// line of a registry'],
      'cred fetch' => ['HOST:PORT', %i[output sig out], "get a registry's credentials from itself"],
      'version' => ['', %i[output], 'show the version']
    }.freeze
    # Each flag: how it is given, and what it is for.
    HELP = {
      output: ['-o', '--output FORMAT', 'table, wide or json (default table)'],
      registry: ['--registry FILE|URL', 'a regCred file or an xlreg:// line'],
      node: ['--node DIR', "the node's directory, made if it does not exist (default the user's own)"],
      name: ['--name NAME', "of a node that is made now (default this machine's, if need be with digits of the key)"],
      protocol: ['--protocol GENERATION', '2.0, 1.9 or 1.8 (default 2.0)'],
      endpoint: ['--endpoint HOST:PORT', 'of this member, repeatable; INTERFACE:PORT and :PORT find the host'],
      size: ['--size MEMBERS', 'how many the cluster is made for, 2 to 1024'],
      create: ['--create', 'make the cluster, of --size members, if it does not exist'],
      wait: ['--wait TIME', 'such as 30s, for all members (default not at all)'],
      allow_unverified: ['--allow-unverified', 'take members of classic carriers, who have proved nothing, too'],
      endpoints: ['--endpoints ADDRESSES', 'how many each member must have (default 1)'],
      unique: ['--unique', 'append to the name what makes it new'],
      key: ['--key KIND',
            'of new keys: p256, rsa2048, rsa3072 or rsa4096 (default rsa2048); classic protocols need RSA'],
      sig_key: ['--sig-key FILE', 'take the key for signatures from there'],
      comms_key: ['--comms-key FILE', 'take the key for encryption from there'],
      ticket: ['--ticket TICKET',
               "of the cluster, or - for standard input; XLREG_TICKET keeps it out of others' sight"],
      ticket_file: ['--ticket-file FILE', 'to read the ticket from'],
      label: ['--label KEY=VALUE', 'to tell the other members, repeatable'],
      fresh: ['--fresh', 'meet only members of this start, with --wait'],
      watch: ['--watch', 'go on, and tell each change'],
      signed: ['--signed FILE', "to write what the registry has signed to, for 'verify'"],
      uses: ['--uses NODES', 'how many an invite admits, up to 1000 (default any number)'],
      for: ['--for TIME', 'such as 24h, within which an invite admits new nodes (default for ever)'],
      ban: ['--ban', 'keep its key out for good, and revoke its invite'],
      yes: ['--yes', 'do not ask'],
      sig: ['--sig FINGERPRINT', 'that the registry must prove to have the key of, SHA256:…'],
      out: ['--out FILE', 'to write to (default standard output)']
    }.freeze
    COMMANDS = VERBS.keys.map { |verb| verb.split[0] }.uniq.join(', ')
    NUMBERS = %i[size endpoints uses].freeze
    SWITCHES = %i[create unique allow_unverified fresh watch ban yes].freeze
    private_constant :UNITS, :SHARED, :TICKET, :VERBS, :HELP, :COMMANDS, :NUMBERS,
                     :SWITCHES

    # @return [Array<String>] all commands
    def self.verbs = VERBS.keys

    # @return [String] the command, or help
    attr_reader :verb
    # @return [String, nil] what it was given besides flags
    attr_reader :argument

    # @param arguments [Array<String>]
    # @raise [UsageError] they are wrong
    def initialize(arguments)
      @given = {}
      @surroundings = [] # which flags are from the environment
      words = parser.permute(arguments.flat_map { |one| apart(one) })
      @verb = @asked || verb_of(words)
      verb == 'help' ? check_help(words) : check_all(words)
    rescue OptionParser::ParseError => e
      raise UsageError, "#{e.message}; see 'xlreg-rb --help'"
    end

    # @return [String] what --help prints
    def help
      verbs = VERBS.map { |verb, (argument, _, about)| ["#{verb} #{argument}", about] }
      <<~TEXT
        Usage: xlreg-rb COMMAND [flags]
        #{verbs.map { |one, about| "  #{one.ljust(22)}#{about}" }.join("\n")}

        Flags, each for the commands that need it:
        #{parser.summarize.join.chomp}

        Every flag can be set in the environment: --registry is XLREG_REGISTRY, and so on.
        Exit codes: 0 done, 1 refused or failed, 2 usage, 3 deadline passed, 130 interrupted.
      TEXT
    end

    # @return [Object, nil] a flag as it was given; nil if it was not
    def [](flag) = @given[flag]

    # @return [Boolean] whether --version was asked for, which prints one line
    def short? = @asked == 'version'

    # @return [String] table, wide or json
    def output = @given.fetch(:output, 'table')

    # @return [Protocol, nil]
    def protocol = @given[:protocol] && Protocol.of(@given[:protocol])

    # @return [Integer] 0 where it was not given
    def size = @given.fetch(:size, 0)

    # @return [Integer]
    def endpoints = @given.fetch(:endpoints, 1)

    # @return [Array<String>]
    def endpoint = @given.fetch(:endpoint, [])

    # @return [Numeric] seconds; 0 is not at all
    def wait = @given.fetch(:wait, 0)

    # @return [Boolean]
    def create? = @given.fetch(:create, false)

    # @return [Boolean]
    def unique? = @given.fetch(:unique, false)

    # @return [Boolean]
    def allow_unverified? = @given.fetch(:allow_unverified, false)

    # @return [ClusterRef] the cluster that is meant, by name or ID
    def ref
      return ClusterRef.new if argument.to_s.empty? && verb == 'create'
      return ClusterRef.new(id: ClusterID.parse(argument)) if /\A(?:\h{40}|\h{64})\z/.match?(argument)

      ClusterRef.new(name: Name.check(argument))
    rescue IllFormedNameError => e
      fail_usage("cluster #{Text.quote(argument)}: #{e.message}")
    end

    # @return [String] the node's directory
    def node
      return File.expand_path(@given[:node]) if @given[:node]

      config = ENV.fetch('XDG_CONFIG_HOME', '')
      config = File.join(Dir.home, '.config') if config.empty?
      File.join(config, 'xlreg', 'node')
    end

    # @return [Hash] what to call a node that is made there
    def naming = { name: @given[:name], only_here: @given[:node].nil? }

    private

    def fail_usage(why) = raise(UsageError, why)

    def verb_of(words)
      first = words.shift.to_s
      return first if VERBS.key?(first) || first == 'help'

      groups = VERBS.keys.filter_map { |verb| verb.split[1] if verb.start_with?("#{first} ") }
      fail_usage("unknown command #{Text.quote(first)}: want #{COMMANDS}; see 'xlreg-rb --help'") if groups.empty?
      verb = "#{first} #{words.shift}"
      VERBS.key?(verb) ? verb : fail_usage("'#{first}': want #{groups.join(' or ')}; see 'xlreg-rb --help'")
    end

    def check_all(words)
      @line = words.shift if TICKETED.include?(verb) && ticket_like?(words.first)
      @argument, *@more = words
      check_flags
      check_argument(@more)
      check
    end

    # Help is the same for every command.
    def check_help(words)
      verb_of(words.dup) unless @asked || words.empty?
    end

    def check_argument(more)
      wanted = ticket? && TAKEN_FROM_TICKET.include?(verb) ? '' : VERBS.fetch(verb).first
      fail_usage("'#{verb}' takes nothing besides flags") if wanted.empty? && argument
      return if argument ? more.empty? || wanted.end_with?('…') : wanted.empty? || wanted.start_with?('[')

      fail_usage("'#{verb}' takes one #{wanted.delete('[]…')}")
    end

    def parser
      @parser ||= OptionParser.new do |options|
        options.require_exact = true
        HELP.each { |flag, how| options.on(*how) { |text| note(flag, text) } }
        options.on('-v', '--version', 'show the version') { @asked = 'version' }
        options.on('-h', '--help', 'show this') { @asked = 'help' }
      end
    end

    # Takes a flag apart from the value that it has in the same word. A switch, which needs none, is noted.
    def apart(word)
      return ['-o', word[/\A-o=?(.+)/m, 1]] if /\A-o./m.match?(word)

      name, value = /\A--([a-z-]+)=(.*)\z/m.match(word)&.captures
      return word unless name

      switch = SWITCHES.find { |flag| flag_name(flag) == "--#{name}" }
      return ["--#{name}", value] unless switch

      note(switch, value)
      []
    end

    def note(flag, text)
      value = read(flag, text)
      case flag
      when :endpoint then (@given[flag] ||= []).concat(value)
      when :label then (@given[flag] ||= {}).merge!(value)
      else @given[flag] = value
      end
    end

    def read(flag, text)
      return Integer(text, 10) if NUMBERS.include?(flag)
      return switch(text) if SWITCHES.include?(flag)

      case flag
      when :endpoint then text.split(',')
      when :name then Name.check(text)
      when :wait, :for then seconds(text)
      when :label then label(text)
      when :protocol then Protocol.of(text).to_s
      else text
      end
    rescue ArgumentError, VersionError, IllFormedNameError => e
      fail_usage("#{flag_name(flag)}: #{e.message}")
    end

    def label(text)
      name, equals, value = text.partition('=')
      raise ArgumentError, "#{Text.quote(text)}: want KEY=VALUE" if equals.empty?

      { Name.check(name) => value }
    end

    def switch(text)
      return true if [true, '1', 't', 'T', 'true', 'TRUE', 'True'].include?(text)
      return false if %w[0 f F false FALSE False].include?(text)

      raise ArgumentError, "#{Text.quote(text)}: want true or false"
    end

    # Reads a time as the Go program writes it: 30s, 1m30s, 300ms.
    def seconds(text)
      return 0 if text == '0'

      parts = text.scan(/(\d+\.?\d*|\.\d+)(h|ms|m|s|us|µs|ns)/)
      raise ArgumentError, "#{Text.quote(text)}: want a time such as 30s" if parts.empty? || parts.join != text

      parts.sum { |number, unit| number.to_f * UNITS.fetch(unit) }
    end

    def flag_name(flag) = "--#{flag.to_s.tr('_', '-')}"

    def check_flags
      _, allowed, = VERBS.fetch(verb)
      strange = @given.keys.find { |flag| !allowed.include?(flag) }
      fail_usage("unknown flag: #{flag_name(strange)}; see 'xlreg-rb --help'") if strange
      allowed.each do |flag|
        text = ENV.fetch("XLREG_#{flag.upcase}", '')
        next if text.empty? || @given.key?(flag)

        note(flag, text)
        @surroundings << flag
      end
    end

    def check
      fail_usage("--output #{Text.quote(output)}: want table, wide or json") unless %w[table wide json].include?(output)
      check_numbers
      return check_node if verb.start_with?('node')

      check_ticket if TICKETED.include?(verb)
      return unless %w[join get create leave verify].include?(verb) || verb == 'ticket new'

      ref unless ticket? || verb == 'verify'
      check_cluster
      return if ticket?

      fail_usage('say which registry with --registry FILE|URL, or in XLREG_REGISTRY') if @given[:registry].to_s.empty?
    end

    def check_cluster
      fail_usage('--fresh waits for the others: say how long with --wait') if fresh? && wait.zero?
      check_join if verb == 'join'
      fail_usage('leave: needs protocol 2.0') if verb == 'leave' && protocol&.classic?
      fail_usage('--unique: needs protocol 2.0') if unique? && protocol&.classic?
    end

    def check_numbers
      fail_usage('say how many members with --size N') if ['create', 'ticket new'].include?(verb) && size.zero?
      range = Limits::MIN_CLUSTER..Limits::MAX_CLUSTER
      fail_usage("--size #{size}: want #{range.min} to #{range.max}") unless size.zero? || range.cover?(size)
      return if endpoints.between?(1, Limits::MAX_ENDPOINTS)

      fail_usage("--endpoints #{endpoints}: want 1 to #{Limits::MAX_ENDPOINTS}")
    end

    def check_join
      fail_usage('--create needs --size N') if create? && size.zero? && !ticket?
      fail_usage("--create needs a name: an ID is the registry's to give") if create? && !ticket? && ref.id
      check_endpoints { |text| OwnAddress.new(text).given }
    end

    def check_node
      key = @given[:key]
      unless key.nil? || Keys::KINDS.include?(key)
        fail_usage("--key #{Text.quote(key)}: want #{Keys::KINDS.join(', ')}")
      end
      fail_usage('give both --sig-key and --comms-key, or neither') if @given.key?(:sig_key) ^ @given.key?(:comms_key)
      check_endpoints { |text| Endpoint.new(text) }
    end

    # The block reads an endpoint; it returns nil for one that has to be found out first.
    def check_endpoints(&)
      Endpoint.check_count(endpoint)
      endpoint.filter_map(&).each do |one|
        nobody = one.address && Addresses.nobody_at(one.address)
        fail_usage("--endpoint #{one} #{nobody}; give one where others reach it") if nobody
      end
    rescue EndpointError => e
      fail_usage("--endpoint: #{e.message}")
    end
  end
end
