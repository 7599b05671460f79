# frozen_string_literal: true

module Xlreg
  # What the command line prints of tickets and comparisons.
  # @api private
  module OutputTickets
    # @param one [Ticket]
    # @param secret [Boolean] whether to show it in full
    # @return [String]
    def ticket(one, secret: false)
      values = { 'kind' => one.kind.to_s, 'cluster' => one.cluster, 'size' => one.size,
                 'endpointCount' => one.endpoint_count, 'key' => Ed25519.text(one.key),
                 'registry' => one.registry.url, 'endpoints' => one.registry.endpoints.map(&:to_s),
                 'sig' => one.registry.fingerprint, 'invite' => (invite_json(one.invited) if one.invited),
                 'ticket' => (one.text if secret) }
      fields(values.compact, ticket_rows(one, secret))
    end

    # @param roster [Roster] what the node sees
    # @param compared [Comparison] what the others see
    # @return [String]
    def comparison(roster, compared)
      same = compared.same.map(&:name)
      other = compared.other.map { |member, sum| { 'name' => member.name, 'sum' => sum } }
      unknown = compared.unknown.map do |member, error|
        { 'name' => member.name, 'why' => Text.printable(error.message) }
      end
      value = { 'cluster' => cluster_json(roster.cluster), 'revision' => roster.state.revision,
                'sum' => roster.short_sum, 'same' => same, 'other' => other, 'unknown' => unknown }
      fields(value, [['cluster', roster.cluster.name], ['sum', roster.short_sum],
                     *([['the same', same.join(' ')]] unless same.empty?),
                     *other.map { |one| ['another', one.values.join(': ')] },
                     *unknown.map { |one| ['unknown', one.values.join(': ')] }])
    end

    private

    def ticket_rows(one, secret)
      [['ticket', one.kind.to_s], ['cluster', one.cluster], ['size', one.size.to_s],
       ['endpoints', one.endpoint_count.to_s], ['key', Ed25519.text(one.key)],
       ['registry', one.registry.endpoints.join(',')], ['sig key', one.registry.fingerprint],
       *(invite_rows(one.invited) if one.invited), *([['line', one.text]] if secret)]
    end

    def invite_json(invite)
      { 'key' => Ed25519.text(invite.key), 'until' => invite.not_after && Text.time(invite.not_after),
        'uses' => (invite.uses if invite.uses.positive?) }.compact
    end

    def invite_rows(invite)
      [['invite', Ed25519.text(invite.key)],
       ['until', invite.not_after ? Text.time(invite.not_after) : 'no end'],
       ['uses', invite.uses.zero? ? 'any number' : invite.uses.to_s]]
    end
  end
end
