# frozen_string_literal: true

require_relative '../xlreg'
require_relative 'command'
require_relative 'output'

module Xlreg
  # `xlreg-rb join|get|create`, for people without the Go program: its flags, exit codes and JSON.
  # @api private
  class CLI
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
      AddressError => 'give with --endpoint an address where the others reach this member',
      UntrustedError => 'if its keys are new, get its credentials anew from someone you trust',
      UnreachableError => 'see that the registry runs there, and that --registry is the right one'
    }.freeze

    # The time that --wait gave has passed.
    class WaitOver < StandardError; end

    # Executes one command line. Errors go to err, one line each.
    # @param arguments [Array<String>]
    # @return [Integer] the exit code
    def self.run(arguments, out: $stdout, err: $stderr)
      out.write(new(Command.new(arguments)).run)
      DONE
    rescue StandardError, Interrupt => e
      code, line = explain(e)
      err.write("xlreg: #{line}\n")
      code
    end

    # @api private
    def self.explain(error)
      case error
      when UsageError then [USAGE, error.message]
      when WaitOver then [DEADLINE, one_line(error.message, error.cause)]
      when Interrupt then [INTERRUPTED, 'interrupted']
      when Error, SystemCallError, ArgumentError then [FAILED, one_line(error.message, error)]
      else raise error
      end
    end

    # @api private
    def self.one_line(text, cause)
      _, advice = ADVICE.find { |kind, _| cause.is_a?(kind) }
      Text.printable([text.lines.map(&:chomp).join('; '), advice].compact.join('; '))
    end
    private_class_method :explain, :one_line

    # @param command [Command]
    def initialize(command)
      @command = command
    end

    # @return [String] what to print
    def run
      return @command.help if @command.verb == 'help'

      @target = Target.load(@command.registry)
      send(@command.verb)
    end

    private

    def create
      attrs = @command.unique? ? ClusterAttrs::UNIQUE : ClusterAttrs::NONE
      made = session(REQUEST_SECONDS) do |client|
        client.create(@command.ref.name, size: @command.size, endpoint_count: @command.endpoints, attrs: attrs,
                                         timeout: REQUEST_SECONDS)
      end
      Output.cluster(made, @command.output)
    end

    def get
      return show(wait) if @command.wait.positive?

      show(session(REQUEST_SECONDS) { |client| client.members(@command.ref, timeout: REQUEST_SECONDS) })
    end

    def join
      with_node do |node|
        if @command.endpoint.empty? && node.endpoints.empty?
          raise UsageError, 'say where the others find this member with --endpoint HOST:PORT'
        end

        show(@command.wait.positive? ? form(node) : place(node))
      end
    end

    # Joins and waits for the others.
    def form(node)
      Xlreg.form(@target, node: node, timeout: @command.wait, **formation).roster
    rescue DeadlineError => e
      raise WaitOver, e.message
    end

    # Joins and does not wait: it calls the formation off as soon as the node has its place.
    def place(node)
      Xlreg.form(@target, node: node, timeout: REQUEST_SECONDS, **formation) do |progress|
        return progress.roster if progress.roster
      end.roster
    end

    def formation
      { cluster: @command.ref, size: @command.size, advertise: @command.endpoint,
        join_only: !@command.create?, protocol: @command.protocol, allow_unverified: true } # which it shows
    end

    # Waits for the whole roster.
    def wait
      as_reader do |node|
        Xlreg.await(@target, @command.ref, node: node, protocol: @command.protocol, timeout: @command.wait)
      end
    rescue DeadlineError => e
      raise WaitOver, e.message
    end

    # Runs the block with nil where reading needs no node.
    def as_reader(&) = @command.protocol&.classic? ? with_node(&) : yield(nil)

    # Runs the block with a session, as the node where that is needed, which is then registered.
    def session(seconds, &)
      if @command.verb == 'get' && !@command.protocol&.classic?
        return Client.open(@target, protocol: @command.protocol, timeout: seconds, &)
      end

      with_node do |node|
        Client.open(@target, node: node, protocol: @command.protocol, timeout: seconds) do |client|
          client.register(timeout: seconds)
          yield client
        end
      end
    end

    def with_node(&)
      path, name = @command.node
      Node.ensure(path, name: name, &)
    end

    def show(roster) = Output.roster(roster, @command.output)
  end
end
