# frozen_string_literal: true

module Xlreg
  # What a program that runs as a member is told: files for mutual TLS and with the roster, and its environment. The Go
  # program writes the same.
  # @api private
  class MemberFiles
    CERTIFICATE = 'cert.pem'
    KEY = 'key.pem'
    KEY_CERTIFICATE = 'keycert.pem' # both, for programs that want them in one file
    PEERS = 'peers.pem'
    ROSTER = 'roster.json'
    private_constant :CERTIFICATE, :KEY, :KEY_CERTIFICATE, :PEERS, :ROSTER

    # @param membership [Membership]
    # @param folder [String, nil] by default one in the node's directory
    # @return [MemberFiles]
    def self.of(membership, folder)
      name = membership.cluster.name
      new(membership, File.expand_path(folder || File.join(membership.node.directory, 'clusters', name)))
    end

    # @param membership [Membership]
    # @param folder [String] an absolute path
    def initialize(membership, folder)
      @membership = membership
      @folder = folder
    end

    # Writes the files anew. There is no TLS among the members if one of them has proved nothing: then roster.json alone
    # is left.
    # @param roster [Roster] as it is now
    # @raise [NodeError] others could change what is in the folder
    # @raise [SystemCallError] a file cannot be written
    def write(roster = @membership.roster)
      Directory.new(@folder).make
      files = { ROSTER => Output.new('json').roster(roster) }
      secure?(roster) ? files.merge!(secrets(roster)) : remove_secrets
      files.each do |name, text|
        AtomicFile.remove_leftovers(file(name))
        AtomicFile.write(file(name), text, 0o600)
      end
    end

    # @param roster [Roster]
    # @return [Boolean] whether the members can speak mutual TLS
    def secure?(roster = @membership.roster) = roster.unverified.empty?

    # @param roster [Roster]
    # @return [Hash{String => String, nil}] what the program finds in its environment. A ticket that this program
    #   found in its own is not for others, since it may be a secret
    def environment(roster = @membership.roster)
      me = @membership.me
      told = { 'XLREG_CLUSTER' => roster.cluster.name, 'XLREG_SELF' => me.name, 'XLREG_INDEX' => me.index.to_s,
               'XLREG_SIZE' => roster.cluster.size.to_s, 'XLREG_ROSTER' => file(ROSTER), 'XLREG_TICKET' => nil }
      told['XLREG_ROLE'] = me.labels['role'] if me.labels['role']
      told.merge!(endpoints(me, roster))
      return told unless secure?(roster)

      told.merge('XLREG_TLS_CERT' => file(CERTIFICATE), 'XLREG_TLS_KEY' => file(KEY), 'XLREG_TLS_PEERS' => file(PEERS))
    end

    private

    def file(name) = File.join(@folder, name)

    # The member's own endpoints, and each endpoint that all members have.
    def endpoints(me, roster)
      all = roster.members.map { |member| member.token.endpoints }
      told = { 'XLREG_ENDPOINTS' => me.token.endpoints.join(',') }
      me.token.endpoints.each_with_index { |endpoint, n| told["XLREG_ENDPOINT_#{n}"] = endpoint.to_s }
      (all.map(&:size).min || 0).times { |n| told["XLREG_ENDPOINTS_#{n}"] = all.map { |own| own[n] }.join(',') }
      told
    end

    def secrets(roster)
      own = roster.members.find { |member| member.token.sig_key == @membership.node.keys.sig_key }
      certificate = own.certificate.to_pem
      key = PrivateKey.pem(@membership.node.keys.sig)
      { CERTIFICATE => certificate, KEY => key, KEY_CERTIFICATE => certificate + key,
        PEERS => roster.members.map { |member| member.certificate.to_pem }.join }
    end

    def remove_secrets = FileUtils.rm_f([CERTIFICATE, KEY, KEY_CERTIFICATE, PEERS].map { |name| file(name) })
  end
end
