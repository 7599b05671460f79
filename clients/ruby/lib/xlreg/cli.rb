# frozen_string_literal: true

require_relative '../xlreg'
require_relative 'command'
require_relative 'output'
require_relative 'status_line'
require_relative 'chores'
require_relative 'ticketing'

module Xlreg
  # `xlreg-rb`, for people without the Go program: its commands, flags, exit codes and JSON.
  # @api private
  class CLI
    include Chores
    include Ticketing

    DONE = 0
    FAILED = 1
    USAGE = 2
    DEADLINE = 3
    INTERRUPTED = 130
    REQUEST_SECONDS = 10.0 # for a command that does not wait for members
    ADVICE = {
      NoSuchClusterIDError => "make the cluster with 'xlreg create'",
      NoSuchClusterNameError => "make the cluster with 'xlreg create', or with 'xlreg join --create --size N'",
      TooFewEndpointsError => 'give more with --endpoint HOST:PORT',
      MemberNameInUseError => 'use a node with another name',
      IDInUseError => 'use a new node directory, or the keys that this ID belongs to',
      ClusterFullError => 'take another cluster, or let a member leave',
      ClusterSizeError => 'ask for the size it has, or take another name',
      TooManyRequestsError => 'wait, or have the operator raise the limit',
      TryLaterError => "if that goes on, see whether the registry's disk is full",
      OriginalRegistryError => 'say which with --protocol',
      Needs20Error => 'leave --protocol away, if the registry speaks 2.0',
      UnverifiedError => 'let them join over 2.0, or say --allow-unverified if you take them as they are',
      TicketError => 'ask the owner of the cluster',
      AdmissionRefusedError => 'ask the owner of the cluster for an invite',
      AddressError => 'give with --endpoint an address where the others reach this member',
      NotARegistryError => 'see that --registry is the right one',
      ClockError => 'set the clock of this machine, or wait until it is',
      UntrustedError => 'if its keys are new, get its credentials anew from someone you trust',
      UnreachableError => 'see that the registry runs there, and that --registry is the right one'
    }.freeze

    # The time that --wait gave has passed.
    class WaitOver < StandardError; end

    # Executes one command line. Errors go to err, one line each, or an object if JSON was asked for.
    # @param arguments [Array<String>]
    # @param input [IO] where answers come from, if somebody is there
    # @return [Integer] the exit code
    def self.run(arguments, out: $stdout, err: $stderr, input: $stdin)
      json = json?(arguments)
      cli = new(Command.new(arguments.dup), out, err, input)
      out.write(cli.run)
      out.flush
      DONE
    rescue StandardError, SignalException => e
      raise unless (code = code_of(e))

      tell(err, e, code, cli, json)
      code
    end

    # Tells whether JSON is asked for. It does not rely on Command, since errors in command lines that cannot be
    # parsed are JSON too.
    # @api private
    def self.json?(arguments)
      format = ENV.fetch('XLREG_OUTPUT', '')
      arguments.each_with_index do |argument, i|
        given = argument[/\A(?:-o=?|--output=)(.+)\z/, 1]
        given = arguments[i + 1].to_s if %w[-o --output].include?(argument)
        format = given if given
      end
      format == 'json'
    end

    # @api private
    def self.code_of(error)
      case error
      when UsageError then USAGE
      when WaitOver then DEADLINE
      when SignalException then INTERRUPTED
      when Error, SystemCallError, ArgumentError then FAILED
      end
    end

    # @api private
    def self.tell(err, error, code, cli, json)
      cause = error.is_a?(WaitOver) ? error.cause : error
      line = error.is_a?(SignalException) ? ['interrupted', cli&.kept_seat].compact.join('; ') : one_line(error, cause)
      err.write(json ? Output.line(error_json(line, code, cause)) : "xlreg: #{line}\n")
    rescue SystemCallError
      nil # there is nobody else to tell
    end

    # @api private
    def self.error_json(line, code, cause)
      shown = { 'error' => line, 'exit' => code }
      return shown unless cause.is_a?(RegistryError)

      shown['kind'] = cause.class::TEXT
      shown['retryMillis'] = (cause.retry_after * 1000).round if cause.retry_after.positive?
      shown
    end

    # Says what is wrong and what to do about it.
    # @api private
    def self.one_line(error, cause = error)
      causes = [cause, *(cause.failures if cause.is_a?(UnreachableError))]
      _, advice = ADVICE.find { |kind, _| causes.any? { |one| one.is_a?(kind) } }
      again = "come back in #{cause.retry_after.ceil} s" if cause.is_a?(RegistryError) && cause.retry_after.positive?
      Text.printable([error.message.lines.map(&:chomp).join('; '), advice, again].compact.join('; '))
    end
    private_class_method :json?, :code_of, :tell, :error_json

    # @param command [Command]
    def initialize(command, out, err, input)
      @command = command
      @out = out
      @err = err
      @input = input
      @output = Output.for(command.output, out)
    end

    # @return [String] what to print
    def run
      return @command.help if @command.verb == 'help'

      send(@command.verb.tr(' ', '_'))
    end

    # @return [String, nil] what an interrupted wait leaves behind; nil if that is nothing
    def kept_seat
      return unless @formation&.standing == :joined

      name = cluster_name
      kept = "#{@node_name} keeps its place in #{name}: the same command goes on waiting"
      return kept if @command.protocol&.classic?

      where = @command[:node] ? " --node #{@command[:node]}" : ''
      return "#{kept}, and 'xlreg-rb leave#{where}' with the ticket gives it up" if ticket

      "#{kept}, and 'xlreg-rb leave #{name}#{where}' gives it up"
    end

    private

    def target = @target ||= ticket || Target.load(@command[:registry])

    def ref = ticket ? ticket.ref : @command.ref

    def cluster_name = ticket ? ticket.cluster : @command.argument

    def create
      attrs = @command.unique? ? ClusterAttrs::UNIQUE : ClusterAttrs::NONE
      made = session(REQUEST_SECONDS) do |client|
        client.create(@command.ref.name, size: @command.size, endpoint_count: @command.endpoints, attrs: attrs,
                                         timeout: REQUEST_SECONDS)
      end
      @output.cluster(made)
    end

    def get
      return show(wait) if @command.wait.positive?
      return follow if @command.watch?
      return save_signed if @command[:signed]

      show(session(REQUEST_SECONDS) { |client| client.members(ref, timeout: REQUEST_SECONDS) })
    end

    def join
      with_node do |node|
        if @command.endpoint.empty? && node.endpoints.empty?
          raise UsageError, 'say where the others find this member with --endpoint HOST:PORT'
        end

        show(@command.wait.positive? ? form(node) : place(node))
      end
    end

    def leave
      left = Node.open(@command.node) do |node|
        limit = Limit.new(REQUEST_SECONDS)
        Client.open(target, node: node, protocol: @command.protocol, timeout: limit.left) do |client|
          client.login(timeout: limit.left)
          client.cluster(ref, timeout: limit.left).tap { |cluster| client.leave(cluster, timeout: limit.left) }
        end
      end
      @output.json? ? @output.cluster(left) : "left #{left.name}\n"
    end

    # Joins and waits for the others.
    def form(node)
      limit = Limit.new(@command.wait)
      status(limit) do |line|
        @node_name = node.name
        @formation = Formation.new(plan(node), line.method(:show), follow: line.visible?, settled: method(:doubt))
        @formation.run(limit).roster
      end
    rescue DeadlineError => e
      raise WaitOver, e.message
    end

    # Joins without waiting: the formation is called off as soon as the node has its place.
    def place(node)
      told = ->(progress) { throw :placed, progress.roster if progress.roster }
      plan = plan(node)
      formation = Formation.new(plan, told, settled: method(:doubt))
      roster = catch(:placed) { return formation.run(Limit.new(REQUEST_SECONDS)).roster }
      Membership.check_verified(roster, plan.options, plan.allow_unverified)
    end

    def plan(node)
      options = Options.of(target, node: node, protocol: @command.protocol)
      plan = Plan.new(options: options, ref: ref, size: @command.size, advertise: @command.endpoint,
                      join_only: !@command.create? && !ticket&.owner?, labels: @command.labels,
                      allow_unverified: @command.allow_unverified?, fresh: @command.fresh?)
      ticket ? plan.by(ticket) : plan
    end

    # Waits for the whole roster.
    def wait
      limit = Limit.new(@command.wait)
      as_reader do |node|
        options = Options.of(target, node: node, protocol: @command.protocol)
        status(limit) do |line|
          Awaiting.new(options, ref, 0, line.method(:show), follow: line.visible?).run(limit)
        end
      end
    rescue DeadlineError => e
      raise WaitOver, e.message
    end

    def status(limit, &) = StatusLine.run(@err, limit, cluster_name, quiet: @output.json?, &)

    # Runs the block with nil where reading needs no node.
    def as_reader(&) = @command.protocol&.classic? ? with_node(&) : yield(nil)

    # Runs the block with a session, as the node where that is needed, which is then registered.
    def session(seconds, &)
      if @command.verb == 'get' && !@command.protocol&.classic?
        return Client.open(target, protocol: @command.protocol, timeout: seconds, &)
      end

      with_node do |node|
        Client.open(target, node: node, protocol: @command.protocol, timeout: seconds) do |client|
          client.register(timeout: seconds)
          yield client
        end
      end
    end

    def with_node
      path = @command.node
      Node.ensure(path, **@command.naming) do |node|
        check_name(node)
        note("#{path}: node.json was empty, as after a power cut; made anew, as #{node.name}") if node.recovered?
        yield node
      end
    end

    def check_name(node)
      wanted = @command[:name]
      return if wanted.nil? || wanted == node.name

      raise UsageError, "--name #{wanted}: the node in #{node.directory} is called #{node.name}, and nodes keep " \
                        "their names: make another with --node NEWDIR --name #{wanted}"
    end

    def show(roster)
      roster.warnings.each { |warning| note(warning) }
      @output.roster(roster)
    end

    def doubt(endpoints)
      Addresses.doubts(endpoints, Target.load(target), Limit.new(REQUEST_SECONDS)).each { |doubt| note(doubt) }
    end

    def note(text)
      text = Text.printable(text)
      @err.write(@output.json? ? Output.line('warning' => text) : "xlreg: warning: #{text}\n")
    end
  end
end
