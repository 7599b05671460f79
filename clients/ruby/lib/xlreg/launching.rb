# frozen_string_literal: true

require_relative 'member_files'
require_relative 'program'

module Xlreg
  # The part of the command line that starts a program as a member.
  # @api private
  module Launching
    private

    # Joins, waits for the others, and starts the program. The node is not locked by then, so that others can look at
    # it. The membership keeps the lease for as long as the program runs.
    def start
      membership = formed_or_resumed
      save_roster(membership)
      files = MemberFiles.of(membership, @command[:dir])
      files.write
      warn_before(membership, files)
      look_after(membership, files)
      ''
    ensure
      membership&.close
    end

    def formed(node, run)
      check_addresses(node)
      form(plan(node).with(run: run)).tap { |membership| keep(membership) }
    end

    def warn_before(membership, files)
      membership.roster.warnings.each { |warning| note(warning) }
      return if files.secure?

      names = membership.roster.unverified.map(&:name).join(', ')
      note("#{membership.node.name} runs without TLS: members have proved nothing: #{names}")
    end

    def look_after(membership, files)
      program = Program.new(membership.node.name)
      following = FileFollower.new(membership, files, @command[:on_change], method(:note),
                                   -> { save_roster(membership) }) { program.stop }
      program.start(files.environment, @command.command, in: own(@input, 'r'), out: own(@out, 'w'), err: own(@err, 'w'))
      following.run unless @command.protocol&.classic?
      await(program, following)
    ensure
      following&.close
      program&.close
    end

    # That another process runs as this node is why the program had to end.
    def await(program, following)
      program.wait
      following.close
      raise following.twin if following.twin
    rescue Program::EndedError => e
      following.close
      raise following.twin || e
    end

    # What the program has as one of its streams: this program's own. A terminal to read from is for programs in the
    # foreground only.
    def own(stream, mode)
      usable = stream.is_a?(IO) && !(mode == 'r' && stream.tty?)
      usable ? stream : [File::NULL, mode]
    end
  end

  # Keeps a member's files as the cluster is now, in a thread, while its program runs.
  # @api private
  class FileFollower
    # @return [TwinError, nil] says that another process runs as this node
    attr_reader :twin

    # @param membership [Membership]
    # @param files [MemberFiles]
    # @param command [String, nil] for a shell, run after each change
    # @param warn [Proc] told of what does not work
    # @param save [Proc] keeps the roster for a start without the registry
    # @yield when another process runs as this node
    def initialize(membership, files, command, warn, save, &halt)
      @save = save
      @membership = membership
      @files = files
      @command = command
      @warn = warn
      @halt = halt
      @twin = @thread = @saving = nil
    end

    # Begins to follow. It has to be closed.
    def run
      @thread = Thread.new { follow }
      @saving = Thread.new { loop { sleep(Offline::SAVE_EVERY) && @save.call } }
    end

    # Stops following, and waits for that. May be called again.
    def close
      @thread&.kill&.join
      @saving&.kill&.join
    end

    private

    # Follows until the node is no member any more. Then the program goes on with what it has, unless another process
    # has taken its place.
    def follow
      @membership.watch { |change| take(change) }
    rescue TwinError => e
      @twin = e
      @halt.call
    rescue Error, SystemCallError => e
      @warn.call(CLI.one_line(e))
    end

    def take(change)
      @save.call
      @files.write(change.roster)
      status = tell(change) if @command
      return if status.nil? || status.success?

      @warn.call("--on-change #{Text.quote(@command)}: exit status #{status.exitstatus || (128 + status.termsig)}")
    rescue Error, SystemCallError => e
      @warn.call(CLI.one_line(e))
    end

    # Runs the command to its end, or until following ends.
    def tell(change)
      came, went, changed = [change.came, change.went, change.changed].map { |all| all.map(&:name).join(' ') }
      told = { 'XLREG_CAME' => came, 'XLREG_WENT' => went, 'XLREG_CHANGED' => changed }
      pid = spawn(@files.environment(change.roster).merge(told), 'sh', '-c', @command, in: File::NULL, pgroup: true)
      waiter = Process.detach(pid)
      waiter.value
    ensure
      Process.kill(:KILL, -pid) if waiter&.alive?
    end
  end
end
