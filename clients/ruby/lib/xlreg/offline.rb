# frozen_string_literal: true

module Xlreg
  # The part of the command line that joins without the registry, from the roster that the node keeps.
  # @api private
  module Offline
    # The registry cannot be reached for so long that the member starts from what it has saved.
    class AwayError < StandardError
      # @return [SavedRoster]
      attr_reader :saved

      # @param saved [SavedRoster]
      def initialize(saved)
        super('the registry cannot be reached')
        @saved = saved
      end
    end

    # Notices that the registry does not come, and ends a formation for that. It does not rely on what the formation
    # tells: one attempt to reach a machine that says nothing at all can take longer than the registry may be away.
    class Away
      # @param seconds [Numeric] how long it may be away
      # @yieldreturn [SavedRoster, nil] what to start from then; nil if there is nothing
      def initialize(seconds, &load)
        @seconds = seconds
        @load = load
        @mutex = Mutex.new
        @news = ConditionVariable.new
        @over = Limit.new(seconds) # guarded by the mutex, as is what follows; nil while the registry is there
        @done = false
      end

      # Takes note of what a formation tells. An error that the registry has sent is a sign of life, too.
      # @param progress [Progress]
      def saw(progress)
        answered = progress.error.nil? || progress.error.is_a?(RegistryError)
        @mutex.synchronize do
          @over = answered ? nil : @over || Limit.new(@seconds)
          @news.signal
        end
      end

      # Runs the block, in a thread that may be ended anywhere.
      # @return [Object] what the block does
      # @raise [AwayError] it is time to start without the registry
      def run(&)
        work = Worker.start { attempt(&) }
        until ended?
          saved = @load.call
          raise AwayError, saved if saved
        end
        work.value
      ensure
        work&.kill&.join
      end

      private

      def attempt
        Thread.current.report_on_exception = false
        yield
      ensure
        @mutex.synchronize do
          @done = true
          @news.signal
        end
      end

      # Waits until the block has ended, or the registry has been away for too long, which is told once.
      # @return [Boolean] whether it has ended
      def ended?
        @mutex.synchronize do
          @news.wait(@mutex, @over&.left(LONG)) until @done || @over&.over?
          @over = Limit.new(nil) unless @done
          @done
        end
      end

      LONG = 1 << 30 # seconds
      private_constant :LONG
    end

    MOST = 33 << 20 # bytes of a file: more than a saved roster has
    SAVE_EVERY = 3600 # seconds, if nothing changes but the time when the registry was heard

    private

    # Shows the roster that the node keeps.
    def show_saved
      Node.open(@command.node) do |node|
        saved = load_saved(node)
        note("the registry was not asked: this is #{saved_words(saved)}")
        show(saved.roster)
      end
    end

    # Joins and waits for the others, or starts from what is kept: at once, or when the registry does not come.
    def formed_or_resumed
      run = (Place.new_run unless @command.protocol&.classic?) # it is one start, both ways
      return Node.open(@command.node) { |node| resumed(node, load_noted(node), run) } if @command.offline?

      with_node do |node|
        formed(node, run)
      rescue AwayError => e
        note("the registry cannot be reached for #{patience}: starting from #{saved_words(e.saved)}")
        resumed(node, e.saved, run)
      end
    end

    def load_noted(node)
      load_saved(node).tap { |saved| note("the registry is not asked: starting from #{saved_words(saved)}") }
    end

    # What notices that the registry does not come; nil where nobody needs it.
    def away(plan)
      seconds = @command.offline_after
      return if @command.command.nil? || seconds.zero? || plan.fresh || plan.options.classic?
      return unless seats(plan.node).find_saved(ref)

      Away.new(seconds) do
        load_saved(plan.node)
      rescue SavedRosterError, NodeError, SystemCallError => e
        why = CLI.one_line(e)
        note("the registry cannot be reached for #{patience}, and this node cannot start without it: #{why}")
        nil
      end
    end

    def patience = format('%<seconds>g s', seconds: @command.offline_after)

    def load_saved(node)
      path = seats(node).find_saved(ref)
      unless path
        raise NodeError, "no roster of the cluster is kept here: #{node.name} has to join it while the registry is " \
                         'there, once'
      end
      SavedRoster.load(read_saved(path), target, node, cluster: ref, endpoints: saved_endpoints)
    rescue SavedRosterError => e
      raise SavedRosterError, "#{path}: #{e.message}"
    end

    # Reads a file. What is no regular one, a pipe for example, might never end.
    def read_saved(path)
      raise SavedRosterError, 'saved roster cannot be read: it is not a regular file' unless File.stat(path).file?

      File.binread(path, MOST).to_s
    rescue SystemCallError => e
      raise SavedRosterError, "saved roster cannot be read: #{SystemCallError.new(nil, e.errno).message.downcase}"
    end

    # Where the node has to be in the roster, as far as this machine alone can tell; nil is where it is.
    def saved_endpoints
      return if @command.endpoint.empty?

      @command.endpoint.map do |text|
        host, _, port = text.rpartition(':')
        /[.:]|\Alocalhost\z/.match?(host) ? text : ":#{port}"
      end
    end

    def saved_words(saved)
      cluster = saved.roster.cluster
      "the roster of #{saved.heard.strftime('%Y-%m-%dT%H:%M:%SZ')}, #{saved.roster.members.size} of #{cluster.size} " \
        'members'
    end

    # Makes the node a member again by a roster of before.
    def resumed(node, saved, run)
      kept = seats(node).read(ref)
      labels = @command.labels || kept.labels
      told = false
      tell = teller(node, saved.roster.cluster.name)
      membership = Xlreg.resume(saved, node: node, labels: labels, lease: @command.lease, run: run,
                                       take_over: @command.take_over?, allow_unverified: @command.allow_unverified?,
                                       stranger: ->(error) { tell.call(error).then { told ||= error.nil? } }) do |now|
        tell.call(nil) unless now.error || told
        told ||= now.error.nil?
      end
      seats(node).write(membership.cluster, SeatFile.new(run: run, lease: @command.lease, labels: labels))
      membership
    end

    # @return [Proc] tells of whoever else answers at the registry's address
    def teller(node, cluster = cluster_name)
      lambda do |error|
        next remark("the registry is back, and #{node.name} follows #{cluster} again") unless error

        note("somebody else answers at the registry's address, and #{node.name} looks for the registry there now and " \
             "then: #{CLI.one_line(error)}")
      end
    end

    # Says something that nobody has to do anything about.
    def remark(text)
      @err.write(@output.json? ? Output.line('note' => text) : "xlreg: #{text}\n")
    end

    # Keeps a member's roster as it is now for a start without the registry.
    def save_roster(membership)
      seats(membership.node).save(membership.cluster, membership.save)
    rescue Needs20Error
      nil
    rescue SystemCallError => e
      note("the roster is not kept for a start without the registry: #{e.message}")
    end
  end
end
