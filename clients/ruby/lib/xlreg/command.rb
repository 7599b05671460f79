# frozen_string_literal: true

require 'optparse'
require_relative 'usage'
require_relative 'ticket_line'
require_relative 'command_checks'

module Xlreg
  # A command line of exe/xlreg-rb, checked as far as it alone tells. Flags that are not given are taken
  # from the environment: --registry is XLREG_REGISTRY, and so on.
  # @api private
  class Command
    include TicketLine
    include CommandChecks

    UNITS = { 'h' => 3600, 'm' => 60, 's' => 1, 'ms' => 1e-3, 'us' => 1e-6, 'µs' => 1e-6, 'ns' => 1e-9 }.freeze
    FORM_SECONDS = 300 # how long to wait for all members before a program is started
    OFFLINE_SECONDS = 30 # how long a registry may be away until a program is started without it
    private_constant :UNITS, :FORM_SECONDS, :OFFLINE_SECONDS

    # @return [Array<String>] all commands
    def self.verbs = Usage::VERBS.keys

    # @return [String] the command, or help
    attr_reader :verb
    # @return [String, nil] what it was given besides flags
    attr_reader :argument
    # @return [Array<String>, nil] the program to start, after --; nil if none is
    attr_reader :command

    # @param arguments [Array<String>]
    # @raise [UsageError] they are wrong
    def initialize(arguments)
      @given = {}
      @surroundings = [] # which flags are from the environment
      own, after = at_dashes(arguments)
      words = parser.permute(own.flat_map { |one| apart(one) })
      @verb = @asked || verb_of(words)
      @verb == 'join' ? @command = after : words.concat(after.to_a)
      verb == 'help' ? check_help(words) : check_all(words)
    rescue OptionParser::ParseError => e
      raise UsageError, "#{e.message}; see 'xlreg-rb --help'"
    end

    # @return [String] what --help prints
    def help
      verbs = Usage::VERBS.map { |verb, (argument, _, about)| ["#{verb} #{argument}", about] }
      <<~TEXT
        Usage: xlreg-rb COMMAND [flags]
        #{verbs.map { |one, about| "  #{one.ljust(22)}#{about}" }.join("\n")}

        Flags, each for the commands that need it:
        #{parser.summarize.join.chomp}

        Every flag can be set in the environment: --registry is XLREG_REGISTRY, and so on.
        Exit codes: 0 done, 1 refused or failed, 2 usage, 3 deadline passed, 130 interrupted.
        'join -- COMMAND' exits like the COMMAND.
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

    # @return [Integer] 0 is any number
    def uses = @given.fetch(:uses, 0)

    # @return [Integer]
    def endpoints = @given.fetch(:endpoints, 1)

    # @return [Array<String>]
    def endpoint = @given.fetch(:endpoint, [])

    # @return [Numeric] seconds; 0 is not at all
    def wait = @given.fetch(:wait, command ? FORM_SECONDS : 0)

    # @return [Numeric, nil] seconds; nil is for ever
    def lease = (@given[:lease] unless @given[:lease]&.zero?)

    # @return [Numeric] seconds; 0 is never
    def offline_after = @given.fetch(:offline_after, OFFLINE_SECONDS)

    # @return [Hash{String => String}, nil]
    def labels = @given[:label]

    # @return [Array<String>] what verify is given
    def files = [argument, *@more].compact

    Usage::SWITCHES.each do |flag|
      # @return [Boolean]
      define_method(:"#{flag}?") { @given.fetch(flag, false) }
    end

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

    # @return [Boolean] whether 'node show' shows the key alone
    def key_alone? = spoken?(:key)

    # @return [Hash] what to call a node that is made there
    def naming = { name: @given[:name], only_here: @given[:node].nil? }

    # @return [String] without what could be secret
    def inspect = "#<Xlreg::Command #{verb}>"

    private

    # What is before the first --, and what is after it.
    def at_dashes(arguments)
      at = arguments.index('--')
      at ? [arguments.first(at), arguments.drop(at + 1)] : [arguments, nil]
    end

    def verb_of(words)
      first = words.shift.to_s
      return first if Usage::VERBS.key?(first) || first == 'help'

      groups = Usage::VERBS.keys.filter_map { |verb| verb.split[1] if verb.start_with?("#{first} ") }
      if groups.empty?
        fail_usage("unknown command #{Text.quote(first)}: want #{Usage::COMMANDS}; see 'xlreg-rb --help'")
      end
      verb = "#{first} #{words.shift}"
      Usage::VERBS.key?(verb) ? verb : fail_usage("'#{first}': want #{groups.join(' or ')}; see 'xlreg-rb --help'")
    end

    def check_all(words)
      @line = words.shift if ticketed? && ticket_like?(words.first)
      words.unshift(@given[:key]) if verb == 'node show' && @given[:key].is_a?(String) # it is no kind of key there
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
      wanted = named_by_ticket? ? '' : Usage::VERBS.fetch(verb).first
      fail_usage("'#{verb}' takes nothing besides flags") if wanted.empty? && argument
      return if argument ? more.empty? || wanted.end_with?('…') : wanted.empty? || wanted.start_with?('[')

      fail_usage("'#{verb}' takes one #{wanted.delete('[]…')}")
    end

    def parser
      @parser ||= OptionParser.new do |options|
        options.require_exact = true
        Usage::FLAGS.each { |flag, how| options.on(*how) { |text| note(flag, text) } }
        options.on('-v', '--version', 'show the version') { @asked = 'version' }
        options.on('-h', '--help', 'show this') { @asked = 'help' }
      end
    end

    # Takes a flag apart from the value that it has in the same word. A switch, which needs none, is noted.
    def apart(word)
      return ['-o', word[/\A-o=?(.+)/m, 1]] if /\A-o./m.match?(word)

      name, value = /\A--([a-z-]+)=(.*)\z/m.match(word)&.captures
      return word unless name

      switch = Usage::SWITCHES.find { |flag| Usage.flag_name(flag) == "--#{name}" }
      return ["--#{name}", value] unless switch

      note(switch, value)
      []
    end

    def note(flag, text)
      value = read(flag, text)
      case flag
      when :endpoint then (@given[flag] ||= []).concat(value)
      when :label then add_label(*value)
      else @given[flag] = value
      end
    end

    def read(flag, text)
      return Integer(text, 10) if Usage::NUMBERS.include?(flag)
      return switch(text) if Usage::SWITCHES.include?(flag)

      case flag
      when :endpoint then text.split(',')
      when :name then Name.check(text)
      when :wait, :for, :lease, :offline_after then seconds(text)
      when :label then label(text)
      when :protocol then Protocol.of(text).to_s
      else text
      end
    rescue ArgumentError, VersionError, IllFormedNameError => e
      fail_usage("#{Usage.flag_name(flag)}: #{e.message}")
    end

    def label(text)
      name, equals, value = text.partition('=')
      raise ArgumentError, "#{Text.quote(text)}: want KEY=VALUE" if equals.empty?

      [Name.check(name), value]
    end

    def add_label(name, value)
      labels = (@given[:label] ||= {})
      fail_usage("--label #{name}: is there twice") if labels.key?(name)

      labels[name] = value
    end

    def switch(text)
      return true if [true, '1', 't', 'T', 'true', 'TRUE', 'True'].include?(text)
      return false if %w[0 f F false FALSE False].include?(text)

      raise ArgumentError, "#{Text.quote(text)}: want true or false"
    end

    # Reads a time as the Go program writes it: 30s, 1m30s, 300ms.
    def seconds(text)
      return 0 if text == '0'

      parts = text.delete_prefix('-').scan(/(\d+\.?\d*|\.\d+)(h|ms|m|s|us|µs|ns)/)
      if parts.empty? || parts.join != text.delete_prefix('-')
        raise ArgumentError, "#{Text.quote(text)}: want a time with its unit, such as 30s or 5m"
      end
      raise ArgumentError, "#{text}: want 0 or more" if text.start_with?('-')

      parts.sum { |number, unit| number.to_f * UNITS.fetch(unit) }
    end

    def check_flags
      _, allowed, = Usage::VERBS.fetch(verb)
      strange = @given.keys.find { |flag| !allowed.include?(flag) }
      fail_usage("unknown flag: #{Usage.flag_name(strange)}; see 'xlreg-rb --help'") if strange
      allowed.each do |flag|
        text = Usage.from_environment(flag) unless @given.key?(flag)
        next unless text

        note(flag, text)
        @surroundings << flag
      end
    end
  end
end
