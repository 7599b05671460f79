# frozen_string_literal: true

require 'json'
require_relative 'output_tickets'

module Xlreg
  # What the command line prints: the same as the Go program, in tables and in JSON.
  # @api private
  class Output
    include OutputTickets

    # The columns that are there only if some member has something in them.
    Extra = Struct.new(:seen, :labels) do
      # @param members [Array<Member>]
      def initialize(members)
        super(members.any?(&:seen), members.any? { |member| !member.labels.empty? })
      end

      # @param seen [String]
      # @param labels [String] empty if there are none
      # @return [Array<String>] those that are shown
      def cells(seen, labels)
        labels = '-' if labels.empty?
        [(seen if self.seen), (labels if self.labels)].compact
      end
    end
    private_constant :Extra

    USUAL_WIDTH = 80
    AGES = { 's' => [1, 60], 'm' => [60, 3600], 'h' => [3600, 48 * 3600], 'd' => [86_400, Float::INFINITY] }.freeze
    private_constant :USUAL_WIDTH, :AGES

    # @param format [String] table, wide or json
    # @param width [Integer, nil] how many columns there are; nil is no bound
    # @param fold [Boolean] whether a member may take several lines that are no table any more
    def initialize(format, width: nil, fold: false, now: Time.now)
      @format = format
      @width = width
      @fold = fold
      @now = now
    end

    # @param format [String]
    # @param out [IO] where it will be shown
    # @return [Output]
    def self.for(format, out)
      terminal = out.respond_to?(:tty?) && out.tty?
      new(format, width: width(out, terminal), fold: terminal || ENV.key?('COLUMNS'))
    end

    # @return [Integer] how many columns there are
    def self.width(out, terminal = out.tty?)
      require 'io/console'
      columns = terminal ? out.winsize[1] : ENV.fetch('COLUMNS', '').to_i
      columns.positive? ? columns : USUAL_WIDTH
    rescue SystemCallError
      USUAL_WIDTH
    end

    # @return [Boolean]
    def json? = @format == 'json'

    # @return [String] a value for scripts
    def self.encode(value) = "#{JSON.pretty_generate(value).gsub(/\[\n\s*\]/, '[]')}\n"

    # @return [String] the same in one line, since there may be others before and after it
    def self.line(value) = "#{JSON.generate(value)}\n"

    # @param value [Hash] for scripts
    # @param rows [Array<Array<String>>] the same for people
    # @return [String]
    def fields(value, rows) = json? ? Output.encode(value) : align(rows)

    # @param cluster [Cluster]
    # @return [String]
    def cluster(cluster)
      fields({ 'cluster' => cluster_json(cluster) },
             [['name', cluster.name], ['id', cluster.id.to_s], ['size', cluster.size.to_s],
              ['endpoints', cluster.endpoint_count.to_s], ['attrs', "0x#{cluster.attrs.to_s(16)}"],
              *([['key', Ed25519.text(cluster.key)]] if cluster.key)])
    end

    # @param cluster [Cluster]
    # @param command [String] that joins it
    # @return [String]
    def join_command(cluster, command)
      json? ? Output.encode('cluster' => cluster_json(cluster), 'join' => command) : "#{command}\n"
    end

    # @param pairs [Array<Array(String, SignedRoster)>] files, and what is in them
    # @return [String]
    def documents(pairs)
      return Output.encode('documents' => pairs.map { |file, signed| document_json(file, signed) }) if json?

      pairs.map { |file, signed| align(document_rows(file, signed)) }.join("\n")
    end

    # @param change [Change]
    # @return [String] in one line for scripts; for people one for each member, and one for all
    def change(change)
      return Output.line(change_json(change)) if json?

      at = Time.now.strftime('%H:%M:%S')
      marks = { '-' => change.went, '+' => change.came, '~' => change.changed }
      lines = marks.flat_map do |mark, members|
        members.map { |member| "#{at}  #{mark} #{member.name}  #{ends(member).join(',')}\n" }
      end
      roster = change.roster
      "#{lines.join}#{at}  #{roster.members.size} of #{roster.cluster.size} members  #{roster.short_sum}\n"
    end

    # @param roster [Roster]
    # @return [String]
    def roster(roster)
      return Output.encode(roster_json(roster)) if json?

      size = roster.cluster.size
      count = size.zero? ? roster.members.size.to_s : "#{roster.members.size} of #{size}"
      id = @format == 'wide' ? roster.cluster.id.to_s : "#{roster.cluster.id.to_s[0, 12]}…"
      head = "cluster #{roster.cluster.name}  #{id}\n#{count} members\n#{state(roster)}"
      roster.members.empty? ? head : "#{head}\n#{lay_out(roster.members)}"
    end

    private

    # Says whether a cluster's key was known beforehand.
    def pin(roster) = roster.pinned? ? '' : '  (not pinned)'

    # What there is to say of a cluster over 2.0 besides its members.
    def state(roster)
      wide = @format == 'wide'
      key = roster.cluster.key && Ed25519.text(roster.cluster.key)
      [("key #{wide ? key : "#{key[0, 12]}…"}#{pin(roster)}\n" if key),
       ("epoch #{roster.state.epoch}, revision #{roster.state.revision}\n" if wide && roster.sum),
       ("sum #{roster.short_sum}\n" if roster.sum)].join
    end

    def roster_json(roster)
      state = { 'epoch' => roster.state.epoch, 'revision' => roster.state.revision, 'sum' => roster.short_sum }
      state['pinned'] = true if roster.pinned?
      { 'cluster' => cluster_json(roster.cluster), 'state' => (state if roster.sum),
        'members' => members_json(roster) }.compact
    end

    def document_json(file, signed)
      roster = signed.roster
      { 'file' => file, 'cluster' => cluster_json(roster.cluster), 'epoch' => roster.state.epoch,
        'revision' => roster.state.revision, 'sum' => signed.short_sum, 'signed' => Text.time(signed.signed),
        'pinned' => roster.pinned?, 'members' => roster.members.size }
    end

    def document_rows(file, signed)
      roster = signed.roster
      key = roster.cluster.key
      [['verified', file], ['cluster', roster.cluster.name], ['id', roster.cluster.id.to_s],
       ['members', "#{roster.members.size} of #{roster.cluster.size}"], ['epoch', roster.state.epoch.to_s],
       ['revision', roster.state.revision.to_s], ['signed', Text.time(signed.signed)], ['sum', signed.short_sum],
       *([['key', "#{Ed25519.text(key)}#{pin(roster)}"]] if key)]
    end

    def change_json(change)
      roster = change.roster
      { 'time' => Text.time(Time.now), 'cluster' => roster.cluster.name, 'epoch' => roster.state.epoch,
        'revision' => roster.state.revision, 'sum' => roster.short_sum, 'members' => roster.members.size,
        'size' => roster.cluster.size, 'came' => briefs(change.came), 'went' => briefs(change.went),
        'changed' => briefs(change.changed) }
    end

    def briefs(members)
      members.map do |member|
        shown = { 'index' => member.index, 'name' => member.name, 'id' => member.id.to_s,
                  'endpoints' => member.endpoints.map(&:to_s), 'sig' => PublicKey.fingerprint(member.token.sig_key) }
        member.labels.empty? ? shown : shown.merge('labels' => member.labels)
      end
    end

    def cluster_json(cluster)
      { 'id' => cluster.id.to_s, 'name' => cluster.name, 'size' => cluster.size,
        'endpointCount' => cluster.endpoint_count, 'attrs' => cluster.attrs,
        'key' => cluster.key && Ed25519.text(cluster.key) }.compact
    end

    def members_json(roster)
      roster.members.map do |member|
        token = member.token
        shown = { 'index' => member.index, 'id' => member.id.to_s, 'name' => member.name,
                  'endpoints' => member.endpoints.map(&:to_s), 'commsKey' => PublicKey.pem(token.comms_key),
                  'sigKey' => PublicKey.pem(token.sig_key), 'attrs' => token.attrs }
        shown['unverified'] = true unless member.verified?
        shown.merge(seat_json(member))
      end
    end

    def seat_json(member)
      { 'labels' => (member.labels unless member.labels.empty?),
        'leaseMillis' => member.lease && (member.lease * 1000).round,
        'seen' => member.seen && Text.time(member.seen) }.compact
    end

    # In lines that fit: with all endpoints of a member beside each other if there is room, or else below each
    # other, or else, if that is allowed, with one paragraph for each member.
    def lay_out(members)
      return wide_table(members) if @format == 'wide'

      text = table(members, stacked: false)
      text = table(members, stacked: true) unless fits?(text)
      @fold && !fits?(text) ? paragraphs(members) : text
    end

    def fits?(text) = @width.nil? || text.each_line(chomp: true).all? { |line| line.size <= @width }

    def table(members, stacked:)
      extra = Extra.new(members)
      rows = members.flat_map do |member|
        first, *others = stacked ? ends(member) : [ends(member).join(',')]
        row = [member.index.to_s, member.name, first, age(member.token.joined),
               *extra.cells(age(member.seen), labels(member).join(',')), yes_no(member.verified?)]
        [row, *others.map { |one| ['', '', one] }]
      end
      align([['INDEX', 'NAME', 'ENDPOINTS', 'JOINED', *extra.cells('SEEN', 'LABELS'), 'VERIFIED'], *rows])
    end

    # Returns the labels as people read them, in the order of their keys. A value that could be taken for something
    # else, or could steer a terminal, is quoted.
    def labels(member)
      member.labels.sort.map do |key, value|
        odd = value.empty? || value.match?(/[, "]/) || Text.printable(value) != value
        "#{key}=#{odd ? Text.quote(value) : value}"
      end
    end

    def ends(member) = member.endpoints.empty? ? ['-'] : member.endpoints.map(&:to_s)

    def wide_table(members)
      extra = Extra.new(members)
      rows = members.map do |member|
        [member.index.to_s, member.name, member.id.to_s, ends(member).join(','),
         PublicKey.fingerprint(member.token.sig_key), moment(member.token.joined),
         *extra.cells(moment(member.seen), labels(member).join(',')), yes_no(member.verified?)]
      end
      align([['INDEX', 'NAME', 'ID', 'ENDPOINTS', 'SIG KEY', 'JOINED', *extra.cells('SEEN', 'LABELS'), 'VERIFIED'],
             *rows])
    end

    def moment(time) = time ? Text.time(time) : '-'

    def paragraphs(members)
      members.map do |member|
        lines = [*member.endpoints, *labels(member)].map { |one| "   #{one}\n" }.join
        seen = "seen #{age(member.seen)}, " if member.seen
        "#{member.index}  #{member.name}\n#{lines}   joined #{age(member.token.joined)}, #{seen}" \
          "verified: #{yes_no(member.verified?)}\n"
      end.join
    end

    # How long ago something was, in its largest unit.
    def age(time)
      return '-' unless time

      ago = [0, @now - time].max
      unit, (length,) = AGES.find { |_, (_, most)| ago < most }
      "#{(ago / length).floor}#{unit} ago"
    end

    def yes_no(yes) = yes ? 'yes' : 'no'

    # Puts cells below each other, two spaces apart, and no spaces at the end of a line.
    def align(rows)
      widths = []
      rows.each { |cells| cells.each_with_index { |cell, i| widths[i] = [widths[i] || 0, cell.size].max } }
      rows.map { |cells| "#{cells.zip(widths).map { |cell, width| cell.ljust(width + 2) }.join.rstrip}\n" }.join
    end
  end
end
