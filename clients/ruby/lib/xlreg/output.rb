# frozen_string_literal: true

require 'json'

module Xlreg
  # What the command line prints: the same as the Go program, in tables and in JSON.
  # @api private
  module Output
    module_function

    # @param cluster [Cluster]
    # @param format [String] table or json
    # @return [String]
    def cluster(cluster, format)
      return encode('cluster' => cluster_json(cluster)) if format == 'json'

      table([['name', cluster.name], ['id', cluster.id.to_s], ['size', cluster.size.to_s],
             ['endpoints', cluster.endpoint_count.to_s], ['attrs', "0x#{cluster.attrs.to_s(16)}"]])
    end

    # @param roster [Roster]
    # @param format [String] table or json
    # @return [String]
    def roster(roster, format)
      return encode('cluster' => cluster_json(roster.cluster), 'members' => members_json(roster)) if format == 'json'

      size = roster.cluster.size
      count = size.zero? ? roster.members.size.to_s : "#{roster.members.size} of #{size}"
      head = "cluster #{roster.cluster.name}  #{roster.cluster.id}\n#{count} members\n"
      return head if roster.members.empty?

      rows = roster.members.map { |member| row(member) }
      "#{head}\n#{table([['INDEX', 'NAME', 'ID', 'ENDPOINTS', 'SIG KEY', 'VERIFIED'], *rows])}"
    end

    def cluster_json(cluster)
      { 'id' => cluster.id.to_s, 'name' => cluster.name, 'size' => cluster.size,
        'endpointCount' => cluster.endpoint_count, 'attrs' => cluster.attrs }
    end

    def members_json(roster)
      roster.members.map do |member|
        token = member.token
        shown = { 'index' => member.index, 'id' => member.id.to_s, 'name' => member.name,
                  'endpoints' => member.endpoints.map(&:to_s), 'commsKey' => PublicKey.pem(token.comms_key),
                  'sigKey' => PublicKey.pem(token.sig_key), 'attrs' => token.attrs }
        member.verified? ? shown : shown.merge('unverified' => true)
      end
    end

    def encode(value) = "#{JSON.pretty_generate(value)}\n"

    def row(member)
      [member.index.to_s, member.name, "#{member.id.to_s[0, 12]}…",
       member.endpoints.empty? ? '-' : member.endpoints.join(','),
       PublicKey.fingerprint(member.token.sig_key), member.verified? ? 'yes' : 'no']
    end

    def table(rows)
      widths = rows.transpose.map { |column| column.map(&:size).max + 2 }
      widths[-1] = 0
      rows.map { |cells| "#{cells.zip(widths).map { |cell, width| cell.ljust(width) }.join}\n" }.join
    end
  end
end
