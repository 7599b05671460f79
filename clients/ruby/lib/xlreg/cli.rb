# frozen_string_literal: true

require_relative '../xlreg'
require_relative 'command'
require_relative 'output'
require_relative 'status_line'
require_relative 'chores'
require_relative 'ticketing'
require_relative 'ordering'
require_relative 'reading'
require_relative 'joining'
require_relative 'launching'
require_relative 'offline'

module Xlreg
  # `xlreg-rb`, for people without the Go program: its commands, flags, exit codes and JSON.
  # @api private
  class CLI
    include Chores
    include Ticketing
    include Ordering
    include Reading
    include Joining
    include Launching
    include Offline

    DONE = 0
    FAILED = 1
    USAGE = 2
    DEADLINE = 3
    INTERRUPTED = 130
    REQUEST_SECONDS = 10.0 # for a command that does not wait for members
    FIRST_PORT = 7001 # in examples
    # What to do about an error that does not say so itself; nil is nothing.
    ADVICE = {
      ContradictionError => 'keep both files, they are the proof; trust this registry no more',
      DocumentError => 'see that --registry or the ticket is that of the registry which signed it, and that the ' \
                       'file is whole',
      SavedRosterError => 'join again while the registry is there, and the file is made anew',
      OtherRosterError => "keep what 'xlreg-rb get --signed' writes on each machine, and compare the files with " \
                          "'xlreg-rb verify'",
      NewEpochError => 'start it again, and it joins the new epoch',
      NotOwnerError => "ask the cluster's owner",
      MemberIDInUseError => 'if the other one is a copy of this machine, make a new node for one of them with ' \
                            '--node NEWDIR; if it is an old start of this program, stop it or say --take-over',
      AdmissionRefusedError => "ask the cluster's owner for an invite, or for a ticket for this node",
      OrdersChangedError => "the owner's ticket was used elsewhere at the same time: look with 'xlreg-rb get' and " \
                            'order again',
      RegistryFullError => "ask the registry's operator for more room, or delete clusters that are not needed",
      KeyNotAdmittedError => 'this registry takes the keys that it was started with, and no others',
      NoSuchClusterIDError => "make the cluster with 'xlreg create'",
      NoSuchClusterNameError => "make the cluster with 'xlreg create', or with 'xlreg join --create --size N'",
      TooFewEndpointsError => 'give more with --endpoint HOST:PORT',
      MemberNameInUseError => "join as a new node of another name: 'xlreg-rb join CLUSTER --node NEWDIR --name NAME'",
      IDInUseError => 'use a new node directory, or the keys that this ID belongs to',
      ClusterFullError => 'take another cluster, or let a member leave',
      ClusterSizeError => 'ask for the size it has, or take another name',
      TooManyRequestsError => "if that goes on, ask the registry's operator for a higher limit",
      TryLaterError => "if that goes on, see whether the registry's disk is full",
      OriginalRegistryError => 'say which with --protocol',
      Needs20Error => 'leave --protocol out, if the registry speaks 2.0',
      UnverifiedError => 'let those members join over 2.0, or accept them with --allow-unverified',
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
      own = arguments.take_while { |argument| argument != '--' }
      own.each_with_index do |argument, i|
        given = argument[/\A(?:-o=?|--output=)(.+)\z/, 1]
        given = own[i + 1].to_s if %w[-o --output].include?(argument)
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
      when Program::EndedError then error.status
      when Error, DocumentError, NotDeletedError, SystemCallError, ArgumentError then FAILED
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
      return unless @formation&.standing == :joined && !@command.fresh?

      name = cluster_name
      kept = "#{@node_name} keeps its seat in #{name}: run the same command again to go on waiting"
      return kept if @command.protocol&.classic?

      where = @command[:node] ? " --node #{@command[:node]}" : ''
      "#{kept}, and 'xlreg-rb leave #{ticket ? 'TICKET' : name}#{where}' gives it up"
    end

    private

    def target = @target ||= ticket || Target.load(@command[:registry])

    def ref = ticket ? ticket.ref : @command.ref

    def cluster_name = ticket ? ticket.cluster : @command.argument

    def create
      raise NotOwnerError.new.while_doing("create #{ticket.cluster}") unless ticket.nil? || ticket.owner?

      made = session(REQUEST_SECONDS) do |client|
        client.create(cluster_name.to_s, **creation, timeout: REQUEST_SECONDS)
      end
      @command.print_join? ? @output.join_command(made, join_command(made)) : @output.cluster(made)
    end

    def creation
      return { size: ticket.size, endpoint_count: ticket.endpoint_count, owner: ticket.owner } if ticket

      attrs = @command.unique? ? ClusterAttrs::UNIQUE : ClusterAttrs::NONE
      { size: @command.size, endpoint_count: @command.endpoints, attrs: attrs }
    end

    # Returns the command that joins a cluster, which says all there is to know: where the registry is and how to know
    # it, the name, and the size. The ports are examples.
    def join_command(cluster)
      classic = @command.protocol&.classic?
      registry = classic ? @command[:registry] : target.url
      ends = Array.new([1, cluster.endpoint_count].max) { |i| ":#{FIRST_PORT + i}" }.join(',')
      "xlreg-rb join #{cluster.name} --registry '#{registry}' --create --size #{cluster.size} --endpoint #{ends} " \
        "--wait 5m#{" --protocol #{@command.protocol}" if classic}"
    end

    def status(limit, &) = StatusLine.run(@err, limit, cluster_name, quiet: @output.json?, &)

    # Runs the block with a session, as the node where that is needed, which is then registered.
    def session(seconds, &)
      return open_session(seconds, &) if @command.verb != 'create' && !@command.protocol&.classic?

      with_node do |node|
        open_session(seconds, node: node) do |client|
          client.register(timeout: seconds)
          yield client
        end
      end
    end

    def open_session(seconds, node: nil)
      Client.open(target, node: node, protocol: @command.protocol, timeout: seconds) do |client|
        tell_next_key(client.next_fingerprint, client.next_until)
        yield client
      end
    end

    # Says that the registry has another key than the one that is known, which vouches for it for some time.
    def tell_next_key(fingerprint = nil, last = nil)
      return unless fingerprint

      note("the registry has a new key, #{fingerprint}, for which the one that you know vouches until " \
           "#{last.getutc.strftime('%Y-%m-%d')}: get its new credentials before then")
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
