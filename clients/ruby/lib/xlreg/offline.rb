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

    # Notices that the registry does not come, from what is told of a formation.
    class Away
      # @param seconds [Numeric] how long it may be away
      # @yieldreturn [SavedRoster, nil] what to start from then; nil if there is nothing
      def initialize(seconds, &load)
        @seconds = seconds
        @load = load
        @since = now
      end

      # @param progress [Progress]
      # @raise [AwayError] it is time to start without the registry
      def saw(progress)
        return @since = nil if progress.error.nil? || progress.error.is_a?(RegistryError)

        @since ||= now
        return if @load.nil? || now - @since < @seconds

        saved = @load.call
        @load = nil
        raise AwayError, saved if saved
      end

      private

      def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
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
      return Node.open(@command.node) { |node| resumed(node, load_noted(node)) } if @command.offline?

      with_node do |node|
        formed(node)
      rescue AwayError => e
        text = "the registry cannot be reached for #{@command.offline_after} s"
        note("#{text}: starting from #{saved_words(e.saved)}")
        resumed(node, e.saved)
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
        note("the registry cannot be reached for #{seconds} s, and there is no start without it: #{CLI.one_line(e)}")
        nil
      end
    end

    def load_saved(node)
      path = seats(node).find_saved(ref)
      unless path
        raise NodeError, "no roster of the cluster is kept here: #{node.name} has to join it while the registry is " \
                         'there, once'
      end
      SavedRoster.load(File.binread(path, MOST).to_s, target, node, cluster: ref, endpoints: saved_endpoints)
    rescue SavedRosterError => e
      raise SavedRosterError, "#{path}: #{e.message}"
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
    def resumed(node, saved)
      kept = seats(node).read(ref)
      labels = @command.labels || kept.labels
      run = Place.new_run
      told = false
      membership = Xlreg.resume(saved, node: node, labels: labels, lease: @command.lease, run: run,
                                       take_over: @command.take_over?,
                                       allow_unverified: @command.allow_unverified?) do |now|
        tell_back(node, saved) unless now.error || told
        told ||= now.error.nil?
      end
      seats(node).write(membership.cluster, SeatFile.new(run: run, lease: @command.lease, labels: labels))
      membership
    end

    def tell_back(node, saved)
      text = "the registry is back, and #{node.name} follows #{saved.roster.cluster.name} again"
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
