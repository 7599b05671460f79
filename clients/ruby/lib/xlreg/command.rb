# frozen_string_literal: true

require 'optparse'

module Xlreg
  # The command line itself is wrong.
  # @api private
  class UsageError < StandardError; end

  # A command line of exe/xlreg-rb, checked as far as it alone tells. Flags that are not given are taken
  # from the environment: --registry is XLREG_REGISTRY, and so on.
  # @api private
  class Command
    UNITS = { 'h' => 3600, 'm' => 60, 's' => 1, 'ms' => 1e-3, 'us' => 1e-6, 'µs' => 1e-6, 'ns' => 1e-9 }.freeze
    SHARED = %i[output registry node protocol].freeze
    FLAGS = { 'join' => [*SHARED, :endpoint, :size, :create, :wait], 'get' => [*SHARED, :wait],
              'create' => [*SHARED, :size, :endpoints, :unique] }.freeze
    # Each flag: how it is given, and what it is for.
    HELP = {
      output: ['-o', '--output FORMAT', 'table or json (default table)'],
      registry: ['--registry FILE|URL', 'a regCred file or an xlreg:// line'],
      node: ['--node DIR', "the node's directory, made if it does not exist (default the user's own)"],
      protocol: ['--protocol GENERATION', '2.0, 1.9 or 1.8 (default 2.0)'],
      endpoint: ['--endpoint HOST:PORT', 'of this member, repeatable'],
      size: ['--size MEMBERS', 'how many the cluster is made for, 2 to 64'],
      create: ['--create', 'make the cluster, of --size members, if it does not exist'],
      wait: ['--wait TIME', 'such as 30s, for all members (default not at all)'],
      endpoints: ['--endpoints ADDRESSES', 'how many each member must have (default 1)'],
      unique: ['--unique', 'append to the name what makes it new']
    }.freeze
    USAGE = <<~TEXT
      Usage: xlreg-rb join|get|create NAME [flags]
        join NAME      become a member of a cluster
        get NAME       show who is in a cluster
        create [NAME]  make a cluster
      Every flag can be set in the environment: --registry is XLREG_REGISTRY, and so on.
      Exit codes: 0 done, 1 refused or failed, 2 usage, 3 deadline passed, 130 interrupted.
    TEXT
    private_constant :UNITS, :SHARED, :FLAGS, :HELP

    # @return [String] join, get, create or help
    attr_reader :verb

    # @param arguments [Array<String>]
    # @raise [UsageError] they are wrong
    def initialize(arguments)
      @given = {}
      words = parser.permute(arguments)
      @verb, @name, *more = @help ? ['help'] : words
      raise UsageError, "want join, get or create; see 'xlreg-rb --help'" unless @help || FLAGS.key?(@verb)
      return if @help

      fail_usage("'#{@verb}' takes one NAME") unless more.empty? && (@name || @verb == 'create')
      check_flags
      check
    rescue OptionParser::ParseError => e
      raise UsageError, "#{e.message}; see 'xlreg-rb --help'"
    end

    # @return [String] what --help prints
    def help = "#{USAGE}\nFlags:\n#{parser.summarize.join}"

    # @return [String] table or json
    def output = @given.fetch(:output, 'table')

    # @return [String] where the registry's credentials are
    def registry = @given[:registry]

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

    # @return [ClusterRef] the cluster that is meant, by name or ID
    def ref
      return ClusterRef.new if @name.to_s.empty? && verb == 'create'
      return ClusterRef.new(id: ClusterID.parse(@name)) if /\A(?:\h{40}|\h{64})\z/.match?(@name)

      ClusterRef.new(name: Name.check(@name))
    rescue IllFormedNameError => e
      fail_usage("cluster #{Text.quote(@name)}: #{e.message}")
    end

    # @return [Array(String, String)] the node's directory, and the name of a new one
    def node
      return [File.expand_path(@given[:node]), File.basename(File.expand_path(@given[:node]))] if @given[:node]

      config = ENV.fetch('XDG_CONFIG_HOME', '')
      config = File.join(Dir.home, '.config') if config.empty?
      [File.join(config, 'xlreg', 'node'), host_name]
    end

    private

    def fail_usage(why) = raise(UsageError, why)

    def host_name
      Name.check(Socket.gethostname.split('.').first.to_s)
    rescue IllFormedNameError
      'node'
    end

    def parser
      @parser ||= OptionParser.new do |options|
        options.require_exact = true
        HELP.each { |flag, how| options.on(*how) { |text| note(flag, text) } }
        options.on('-h', '--help', 'show this') { @help = true }
      end
    end

    def note(flag, text)
      value = read(flag, text)
      flag == :endpoint ? (@given[flag] ||= []).concat(value) : @given[flag] = value
    end

    def read(flag, text)
      case flag
      when :endpoint then text.split(',')
      when :size, :endpoints then Integer(text, 10)
      when :create, :unique then switch(text)
      when :wait then seconds(text)
      when :protocol then Protocol.of(text).to_s
      else text
      end
    rescue ArgumentError, VersionError => e
      fail_usage("--#{flag}: #{e.message}")
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

    def check_flags
      allowed = FLAGS.fetch(verb)
      strange = @given.keys.find { |flag| !allowed.include?(flag) }
      fail_usage("unknown flag: --#{strange}; see 'xlreg-rb --help'") if strange
      allowed.each do |flag|
        text = ENV.fetch("XLREG_#{flag.upcase}", '')
        note(flag, text) unless text.empty? || @given.key?(flag)
      end
    end

    def check
      fail_usage("--output #{Text.quote(output)}: want table or json") unless %w[table json].include?(output)
      check_numbers
      ref
      check_join if verb == 'join'
      fail_usage('--unique: needs protocol 2.0') if unique? && protocol&.classic?
      fail_usage('say which registry with --registry FILE|URL, or in XLREG_REGISTRY') if registry.to_s.empty?
    end

    def check_numbers
      fail_usage('say how many members with --size N') if verb == 'create' && size.zero?
      range = Limits::MIN_CLUSTER..Limits::MAX_CLUSTER
      fail_usage("--size #{size}: want #{range.min} to #{range.max}") unless size.zero? || range.cover?(size)
      return if endpoints.between?(1, Limits::MAX_ENDPOINTS)

      fail_usage("--endpoints #{endpoints}: want 1 to #{Limits::MAX_ENDPOINTS}")
    end

    def check_join
      fail_usage('--create needs --size N') if create? && size.zero?
      fail_usage("--create needs a name: an ID is the registry's to give") if create? && ref.id
      Endpoint.all(endpoint).each do |one|
        next unless one.address&.to_i&.zero?

        fail_usage("--endpoint #{one}: stands for all addresses of a machine; give one where others reach it")
      end
    rescue EndpointError => e
      fail_usage("--endpoint: #{e.message}")
    end
  end
end
