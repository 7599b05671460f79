# frozen_string_literal: true

module Xlreg
  # What has to hold of a command line before anything is done.
  # @api private
  module CommandChecks
    # What needs both the name of a cluster and a registry, unless a ticket says them.
    PLACED = ['join', 'get', 'create', 'leave', 'compare', 'verify', 'ticket new'].freeze
    # What the classic protocols do not have.
    MODERN = { 'leave' => 'leave', 'compare' => 'compare', 'ticket new' => 'ticket' }.freeze
    private_constant :PLACED, :MODERN

    private

    def fail_usage(why) = raise(UsageError, why)

    def check
      fail_usage("--output #{Text.quote(output)}: want table, wide or json") unless %w[table wide json].include?(output)
      check_numbers
      return check_node if verb == 'node init'

      check_ticket if ticketed?
      return unless PLACED.include?(verb)

      ref unless ticket? || verb == 'verify'
      check_verb
      return if ticket?

      fail_usage('say which registry with --registry FILE|URL, or in XLREG_REGISTRY') if self[:registry].to_s.empty?
    end

    def check_verb
      check_join if verb == 'join'
      check_get if verb == 'get'
      return unless protocol&.classic?

      modern = MODERN[verb] || ('--unique' if unique?) || ('--watch' if watch?)
      fail_usage("#{modern}: needs protocol 2.0") if modern
    end

    def check_numbers
      asked = ['create', 'ticket new'].include?(verb) && !ticket?
      fail_usage('say how many members with --size N') if asked && size.zero?
      range = Limits::MIN_CLUSTER..(protocol&.classic? ? Limits::MAX_CLUSTER_CLASSIC : Limits::MAX_CLUSTER)
      fail_usage("--size #{size}: want #{range.min} to #{range.max}") unless size.zero? || range.cover?(size)
      unless uses.between?(0, Limits::MAX_USES)
        fail_usage("--uses #{uses}: want 1 to #{Limits::MAX_USES}, or 0 for any number")
      end
      return if endpoints.between?(1, Limits::MAX_ENDPOINTS)

      fail_usage("--endpoints #{endpoints}: want 1 to #{Limits::MAX_ENDPOINTS}")
    end

    def check_get
      if watch? && (wait.positive? || self[:signed])
        fail_usage('--watch goes on for ever: leave --wait and --signed out')
      end
      fail_usage('--signed is of this moment: leave --wait out') if self[:signed] && wait.positive?
    end

    def check_join
      fail_usage('--create needs --size N') if create? && size.zero?
      fail_usage("--create needs a name: an ID is the registry's to give") if create? && ref.id
      fail_usage('--offline starts from what was, and --fresh from what is: leave one out') if offline? && fresh?
      check_modern
      check_command
      check_endpoints { |text| OwnAddress.new(text).given }
    end

    def check_modern
      return unless protocol&.classic? && (fresh? || take_over? || offline? || self[:lease] || labels)

      fail_usage('--fresh, --lease, --label, --take-over and --offline: needs protocol 2.0')
    end

    # What is for as long as a program runs needs one.
    def check_command
      return check_no_command unless command

      fail_usage('say what to start after --') if command.empty?
      fail_usage("--wait: want more than 0, as 'join' waits for all members before it starts COMMAND") if wait.zero?
      template = command.find { |word| word.include?('{{') }
      return unless template

      fail_usage("#{Text.quote(template)}: xlreg-rb fills in no templates: COMMAND finds the cluster in its " \
                 'environment, in XLREG_SELF, XLREG_INDEX, XLREG_SIZE and the file XLREG_ROSTER')
    end

    def check_no_command
      fail_usage('--lease is kept for as long as COMMAND runs: give one after --') if self[:lease]&.positive?
      fail_usage('--on-change is for as long as COMMAND runs: give one after --') if self[:on_change]
      fail_usage('--fresh waits for the others: say how long with --wait TIME') if fresh? && wait.zero?
    end

    def check_node
      key = self[:key]
      unless !@given.key?(:key) || Keys::KINDS.include?(key)
        fail_usage("--key #{Text.quote(key)}: want #{Keys::KINDS.join(', ')}")
      end
      fail_usage('give both --sig-key and --comms-key, or neither') if self[:sig_key].nil? ^ self[:comms_key].nil?
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
