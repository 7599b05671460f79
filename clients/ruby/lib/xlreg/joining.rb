# frozen_string_literal: true

require_relative 'seat_file'

module Xlreg
  # The commands of the command line by which a node becomes a member, and stops being one.
  # @api private
  module Joining
    private

    def join
      return start if @command.command
      return show_saved if @command.offline?

      with_node do |node|
        joined(node) do |membership|
          write_files(membership) if @command[:dir]
          show(membership.roster)
        end
      end
    end

    def write_files(membership)
      save_roster(membership)
      MemberFiles.of(membership, @command[:dir]).write
    end

    # Joins, yields the membership, and closes it.
    def joined(node)
      check_addresses(node)
      membership = @command.wait.positive? ? form(plan(node)) : place(plan(node))
      keep(membership)
      yield membership
    ensure
      membership&.close
    end

    def check_addresses(node)
      return unless @command.endpoint.empty? && node.endpoints.empty?

      raise UsageError, 'say where the others find this member with --endpoint HOST:PORT'
    end

    # Joins and waits for the others.
    def form(plan)
      limit = Limit.new(@command.wait)
      away = away(plan)
      status(limit) do |line|
        @node_name = plan.node.name
        told = lambda do |now|
          line.show(now)
          away&.saw(now)
        end
        @formation = Formation.new(plan, told, follow: line.visible?, settled: method(:doubt))
        away ? away.run { @formation.run(limit) } : @formation.run(limit)
      end
    rescue DeadlineError => e
      raise CLI::WaitOver, e.message
    end

    # Joins without waiting.
    def place(plan)
      Formation.new(plan.with(no_wait: true), nil, settled: method(:doubt)).run(Limit.new(CLI::REQUEST_SECONDS))
    end

    def plan(node)
      options = Options.of(target, node: node, protocol: @command.protocol)
      plan = Plan.new(options: options, ref: ref, size: @command.size, advertise: @command.endpoint,
                      join_only: !@command.create? && !ticket&.owner?, labels: @command.labels, lease: @command.lease,
                      allow_unverified: @command.allow_unverified?, fresh: @command.fresh?,
                      take_over: @command.take_over?, stranger: teller(node))
      remember(ticket ? plan.by(ticket) : plan)
    end

    # Asks for what the node asked for when it last joined, as far as the command line says nothing else. A program that
    # is started is a new run.
    def remember(plan)
      return plan if plan.options.classic?

      kept = seats(plan.node).read(plan.ref)
      plan = plan.with(labels: plan.labels || kept.labels)
      return plan if @command.command || plan.fresh || plan.take_over

      plan.with(run: kept.run, lease: kept.lease)
    end

    # Notes how the node has joined, and says if it was told of the registry's next key.
    def keep(membership)
      tell_next_key(*membership.node.registration(target_fingerprint)&.succession)
      run = membership.me.token.run or return # nobody is told apart over a classic carrier
      labels = membership.node.labels
      seat = SeatFile.new(run: run, lease: membership.lease, labels: (labels unless labels.empty?))
      seats(membership.node).write(membership.cluster, seat)
    end

    def seats(node) = SeatFiles.new(node, target_fingerprint)

    def target_fingerprint = Target.load(target).fingerprint

    def leave
      left = Node.open(@command.node) do |node|
        Text.doing("node #{node.name}") { leave_as(node).tap { |cluster| seats(node).forget(cluster) } }
      end
      @output.json? ? @output.cluster(left) : "left #{left.name}\n"
    end

    def leave_as(node)
      limit = Limit.new(CLI::REQUEST_SECONDS)
      open_session(limit.left, node: node) do |client|
        client.login(timeout: limit.left)
        client.cluster(ref, timeout: limit.left).tap { |cluster| client.leave(cluster, timeout: limit.left) }
      end
    end

    # Asks the other members, as the node, which is a member already. It joins again as it joined before, which changes
    # nothing.
    def compare
      Node.open(@command.node) do |node|
        Text.doing("node #{node.name}") { check_member(node) }
        membership = place(plan(node).with(join_only: true))
        begin
          compared(membership)
        ensure
          membership.close
        end
      end
    end

    # Keeps a node that is no member from becoming one.
    def check_member(node)
      roster = session(CLI::REQUEST_SECONDS) { |client| client.members(ref, timeout: CLI::REQUEST_SECONDS) }
      raise NotMemberError if roster.members.none? { |member| member.token.sig_key == node.keys.sig_key }
    end

    # Shows what the others see, also if that is another cluster.
    def compared(membership)
      @output.comparison(membership.roster, membership.compare)
    rescue OtherRosterError => e
      @out.write(@output.comparison(membership.roster, e.comparison))
      raise
    end
  end
end
