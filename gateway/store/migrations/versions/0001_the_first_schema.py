"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('file',
    sa.Column('digest', sa.String(length=64), nullable=False, comment='SHA-256, hexadecimal'),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('media_type', sa.String(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_file'))
    )
    op.create_table('identity',
    sa.Column('owner', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False, comment='report key, minus an order key, or 0 for what all share'),
    sa.Column('role', sa.String(), nullable=False, comment='what the resource is, by content'),
    sa.Column('type', sa.String(), nullable=False),
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.PrimaryKeyConstraint('owner', 'role', name=op.f('pk_identity')),
    comment='which resource plays which role: ids are random once, then kept'
    )
    op.create_table('lane',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('owner', sa.String(), nullable=False),
    sa.Column('fence', sa.BigInteger(), nullable=False),
    sa.Column('leased_until', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_lane'))
    )
    op.create_table('message',
    sa.Column('key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('received_at', sa.BigInteger(), nullable=False),
    sa.Column('source', sa.String(), nullable=False, comment='identity of the connection'),
    sa.Column('sender', sa.String(), nullable=False, comment='mapping folder, or empty'),
    sa.Column('sending_application', sa.String(), nullable=False),
    sa.Column('sending_facility', sa.String(), nullable=False),
    sa.Column('control_id', sa.String(), nullable=False),
    sa.Column('type', sa.String(), nullable=False, comment='ORU^R01'),
    sa.Column('charset', sa.String(), nullable=False, comment='of HTTP: wins over MSH-18'),
    sa.Column('dedupe_key', sa.String(length=64), nullable=True, comment='null when it cannot repeat'),
    sa.Column('raw', sa.LargeBinary(), nullable=False, comment='the bytes, never altered'),
    sa.Column('answer', sa.String(length=2), nullable=False, comment='AA, AE, AR'),
    sa.Column('reply', sa.LargeBinary(), nullable=False, comment='the acknowledgement, sent again'),
    sa.Column('state', sa.String(), nullable=False, comment='accepted, rejected, duplicate'),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('duplicate_of', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('control_id_reused', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.ForeignKeyConstraint(['duplicate_of'], ['message.key'], name=op.f('fk_message_duplicate_of')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_message')),
    sa.UniqueConstraint('dedupe_key', name=op.f('uq_message_dedupe_key'))
    )
    op.create_index('ix_message_control', 'message', ['source', 'control_id'], unique=False)
    op.create_index('ix_message_received', 'message', ['received_at'], unique=False)
    op.create_table('oauth_assertion',
    sa.Column('client_id', sa.String(), nullable=False),
    sa.Column('jti', sa.String(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('client_id', 'jti', name=op.f('pk_oauth_assertion')),
    comment='client assertions already used: once only, until they expire'
    )
    op.create_index(op.f('ix_oauth_assertion_expires_at'), 'oauth_assertion', ['expires_at'], unique=False)
    op.create_table('oauth_client',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('scope', sa.Text(), nullable=False, comment='the most it may ask for'),
    sa.Column('jwks', sa.Text(), nullable=False, comment='public keys, JSON'),
    sa.Column('active', sa.Boolean(), server_default=sa.true(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_oauth_client'))
    )
    op.create_table('patient',
    sa.Column('key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('id', sa.String(length=36), nullable=False, comment='FHIR id, random'),
    sa.Column('family', sa.String(), nullable=False),
    sa.Column('given', sa.String(), nullable=False, comment='space separated'),
    sa.Column('birth_date', sa.String(length=10), nullable=False),
    sa.Column('sex', sa.String(), nullable=False),
    sa.Column('postcode', sa.String(), nullable=False),
    sa.Column('deceased', sa.String(), nullable=False),
    sa.Column('record_class', sa.String(), nullable=False),
    sa.Column('merged_into', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('clock', sa.BigInteger(), nullable=False, comment='of the newest demographics applied'),
    sa.Column('changed_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['merged_into'], ['patient.key'], name=op.f('fk_patient_merged_into')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_patient')),
    sa.UniqueConstraint('id', name=op.f('uq_patient_id'))
    )
    op.create_table('secret',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('value', sa.String(length=64), nullable=False, comment='random, hexadecimal'),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_secret')),
    comment='keys that every process of one installation shares'
    )
    op.create_table('token',
    sa.Column('hash', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('literal', sa.Text(), nullable=False, comment='what was hashed: a collision never matches'),
    sa.PrimaryKeyConstraint('hash', name=op.f('pk_token'))
    )
    op.create_table('oauth_token',
    sa.Column('digest', sa.String(length=64), nullable=False, comment='SHA-256 of the opaque token'),
    sa.Column('client_id', sa.String(), nullable=False),
    sa.Column('scope', sa.Text(), nullable=False),
    sa.Column('issued_at', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.Column('revoked_at', sa.BigInteger(), nullable=True, comment='the newest is polled by every process'),
    sa.ForeignKeyConstraint(['client_id'], ['oauth_client.id'], name=op.f('fk_oauth_token_client_id')),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_oauth_token'))
    )
    op.create_index(op.f('ix_oauth_token_client_id'), 'oauth_token', ['client_id'], unique=False)
    op.create_index(op.f('ix_oauth_token_expires_at'), 'oauth_token', ['expires_at'], unique=False)
    op.create_index(op.f('ix_oauth_token_revoked_at'), 'oauth_token', ['revoked_at'], unique=False)
    op.create_table('part',
    sa.Column('key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('message_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('ordinal', sa.Integer(), nullable=False),
    sa.Column('lane', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False, comment='received, waiting, filed, held, rejected'),
    sa.Column('reason', sa.String(), nullable=False, comment='gateway.errors.Hold'),
    sa.Column('awaits', sa.String(), nullable=True, comment='laboratory and number of the report that releases it'),
    sa.Column('detail', sa.Text(), nullable=False, comment='JSON notices: place and text'),
    sa.Column('account', sa.Text(), nullable=False, comment='JSON account of values'),
    sa.Column('outcome', sa.Text(), nullable=False, comment='JSON references filed'),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('ready_at', sa.BigInteger(), nullable=False, comment='not to be tried before'),
    sa.Column('changed_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['message_key'], ['message.key'], name=op.f('fk_part_message_key')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_part'))
    )
    op.create_index('ix_part_awaits', 'part', ['awaits'], unique=False)
    op.create_index('ix_part_lane', 'part', ['lane', 'state', 'key'], unique=False)
    op.create_index(op.f('ix_part_message_key'), 'part', ['message_key'], unique=False)
    op.create_index('ix_part_work', 'part', ['state', 'ready_at', 'key'], unique=False)
    op.create_table('patient_identifier',
    sa.Column('key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('system', sa.String(), nullable=False),
    sa.Column('value', sa.String(), nullable=False),
    sa.Column('patient_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('state', sa.String(), nullable=False, comment='current, retired'),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('since', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['patient_key'], ['patient.key'], name=op.f('fk_patient_identifier_patient_key')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_patient_identifier')),
    sa.UniqueConstraint('system', 'value', name=op.f('uq_patient_identifier_system'))
    )
    op.create_index(op.f('ix_patient_identifier_patient_key'), 'patient_identifier', ['patient_key'], unique=False)
    op.create_table('placed_order',
    sa.Column('key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('organisation', sa.String(), nullable=False, comment='who ordered: code, words or sender'),
    sa.Column('number', sa.String(), nullable=False, comment="the placer's order number"),
    sa.Column('patient_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('request_id', sa.String(length=36), nullable=False, comment='of its ServiceRequest'),
    sa.Column('ordered', sa.Boolean(), server_default=sa.false(), nullable=False, comment='an order message described it, not only a result'),
    sa.Column('status', sa.String(), nullable=False, comment='as the orders say it'),
    sa.Column('answered', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('record_class', sa.String(), server_default='nhs', nullable=False),
    sa.Column('clock', sa.BigInteger(), nullable=False),
    sa.Column('sent_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['patient_key'], ['patient.key'], name=op.f('fk_placed_order_patient_key')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_placed_order')),
    sa.UniqueConstraint('organisation', 'number', name=op.f('uq_placed_order_organisation')),
    sa.UniqueConstraint('request_id', name=op.f('uq_placed_order_request_id'))
    )
    op.create_index('ix_placed_order_number', 'placed_order', ['number'], unique=False)
    op.create_index(op.f('ix_placed_order_patient_key'), 'placed_order', ['patient_key'], unique=False)
    op.create_table('report',
    sa.Column('key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('laboratory', sa.String(), nullable=False, comment='the reporting laboratory'),
    sa.Column('number', sa.String(), nullable=False, comment='its report number'),
    sa.Column('patient_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('clock', sa.BigInteger(), nullable=False),
    sa.Column('sent_at', sa.BigInteger(), nullable=False, comment='MSH-7: breaks ties'),
    sa.Column('content_digest', sa.String(length=64), nullable=False),
    sa.Column('record_class', sa.String(), nullable=False),
    sa.Column('tested_subject', sa.String(), nullable=False),
    sa.Column('flagged', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('requested_at', sa.BigInteger(), nullable=True),
    sa.Column('collected_at', sa.BigInteger(), nullable=True),
    sa.Column('received_at', sa.BigInteger(), nullable=True),
    sa.Column('reported_at', sa.BigInteger(), nullable=True),
    sa.Column('published_at', sa.BigInteger(), nullable=True),
    sa.Column('fetched_at', sa.BigInteger(), nullable=True),
    sa.Column('read_at', sa.BigInteger(), nullable=True),
    sa.Column('acknowledged_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['patient_key'], ['patient.key'], name=op.f('fk_report_patient_key')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_report')),
    sa.UniqueConstraint('laboratory', 'number', name=op.f('uq_report_laboratory'))
    )
    op.create_index(op.f('ix_report_patient_key'), 'report', ['patient_key'], unique=False)
    op.create_table('resource',
    sa.Column('key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('type', sa.String(), nullable=False),
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.Column('patient_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('record_class', sa.String(), nullable=False),
    sa.Column('restricted', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('deleted', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False, comment='SHA-256 of all that was filed'),
    sa.Column('file_digest', sa.String(length=64), nullable=True),
    sa.Column('body', sa.Text(), nullable=False, comment='the JSON that is served'),
    sa.ForeignKeyConstraint(['file_digest'], ['file.digest'], name=op.f('fk_resource_file_digest')),
    sa.ForeignKeyConstraint(['patient_key'], ['patient.key'], name=op.f('fk_resource_patient_key')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_resource')),
    sa.UniqueConstraint('type', 'id', name=op.f('uq_resource_type'))
    )
    op.create_index('ix_resource_newest', 'resource', ['type', 'key'], unique=False)
    op.create_index('ix_resource_patient', 'resource', ['patient_key', 'type', 'updated_at', 'key'], unique=False)
    op.create_index('ix_resource_type', 'resource', ['type', 'updated_at', 'key'], unique=False)
    op.create_table('access_grant',
    sa.Column('key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('grantee', sa.String(), nullable=False),
    sa.Column('patient_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('report_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['patient_key'], ['patient.key'], name=op.f('fk_access_grant_patient_key')),
    sa.ForeignKeyConstraint(['report_key'], ['report.key'], name=op.f('fk_access_grant_report_key')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_access_grant'))
    )
    op.create_index(op.f('ix_access_grant_grantee'), 'access_grant', ['grantee'], unique=False)
    op.create_table('edition',
    sa.Column('key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('report_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('part_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('clock', sa.BigInteger(), nullable=False),
    sa.Column('sent_at', sa.BigInteger(), nullable=False),
    sa.Column('content_digest', sa.String(length=64), nullable=False),
    sa.Column('promotes', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('received_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['part_key'], ['part.key'], name=op.f('fk_edition_part_key')),
    sa.ForeignKeyConstraint(['report_key'], ['report.key'], name=op.f('fk_edition_report_key')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_edition')),
    sa.UniqueConstraint('report_key', 'part_key', name=op.f('uq_edition_report_key')),
    comment='every version of a report that was received, published or not'
    )
    op.create_table('index_date',
    sa.Column('resource_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('parameter', sa.SmallInteger(), nullable=False),
    sa.Column('low', sa.BigInteger(), nullable=False, comment='first instant meant'),
    sa.Column('high', sa.BigInteger(), nullable=False, comment='first instant no longer meant'),
    sa.ForeignKeyConstraint(['resource_key'], ['resource.key'], name=op.f('fk_index_date_resource_key')),
    sa.PrimaryKeyConstraint('resource_key', 'parameter', 'low', 'high', name=op.f('pk_index_date')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_index_date_low', 'index_date', ['parameter', 'low', 'resource_key', 'high'], unique=False)
    op.create_table('index_reference',
    sa.Column('source_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('parameter', sa.SmallInteger(), nullable=False),
    sa.Column('target_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['source_key'], ['resource.key'], name=op.f('fk_index_reference_source_key')),
    sa.ForeignKeyConstraint(['target_key'], ['resource.key'], name=op.f('fk_index_reference_target_key')),
    sa.PrimaryKeyConstraint('source_key', 'parameter', 'target_key', name=op.f('pk_index_reference')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_index_reference_target', 'index_reference', ['target_key', 'parameter', 'source_key'], unique=False)
    op.create_table('index_token',
    sa.Column('hash', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('resource_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['resource_key'], ['resource.key'], name=op.f('fk_index_token_resource_key')),
    sa.PrimaryKeyConstraint('hash', 'resource_key', name=op.f('pk_index_token')),
    sqlite_with_rowid=False
    )
    op.create_index(op.f('ix_index_token_resource_key'), 'index_token', ['resource_key'], unique=False)
    op.create_table('patient_merge',
    sa.Column('key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('subsumed_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('survivor_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('part_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False, comment='whose message said so'),
    sa.Column('merged_at', sa.BigInteger(), nullable=False),
    sa.Column('undone_at', sa.BigInteger(), nullable=True, comment='set by the undo, which is this one row'),
    sa.ForeignKeyConstraint(['part_key'], ['part.key'], name=op.f('fk_patient_merge_part_key')),
    sa.ForeignKeyConstraint(['subsumed_key'], ['patient.key'], name=op.f('fk_patient_merge_subsumed_key')),
    sa.ForeignKeyConstraint(['survivor_key'], ['patient.key'], name=op.f('fk_patient_merge_survivor_key')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_patient_merge')),
    comment='which patients were found to be one person'
    )
    op.create_index(op.f('ix_patient_merge_subsumed_key'), 'patient_merge', ['subsumed_key'], unique=False)
    op.create_index(op.f('ix_patient_merge_survivor_key'), 'patient_merge', ['survivor_key'], unique=False)
    op.create_table('resource_version',
    sa.Column('resource_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('updated_at', sa.BigInteger(), nullable=False),
    sa.Column('patient_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('record_class', sa.String(), nullable=False),
    sa.Column('restricted', sa.Boolean(), nullable=False),
    sa.Column('deleted', sa.Boolean(), nullable=False),
    sa.Column('file_digest', sa.String(length=64), nullable=True),
    sa.Column('body', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['file_digest'], ['file.digest'], name=op.f('fk_resource_version_file_digest')),
    sa.ForeignKeyConstraint(['patient_key'], ['patient.key'], name=op.f('fk_resource_version_patient_key')),
    sa.ForeignKeyConstraint(['resource_key'], ['resource.key'], name=op.f('fk_resource_version_resource_key')),
    sa.PrimaryKeyConstraint('resource_key', 'version', name=op.f('pk_resource_version')),
    comment='earlier versions; the newest is in resource'
    )
    op.create_table('variant_occurrence',
    sa.Column('key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('report_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('resource_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('patient_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('laboratory', sa.String(), nullable=False),
    sa.Column('gene', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False, comment='verbatim HGVS or ISCN'),
    sa.Column('assembly', sa.String(), nullable=False),
    sa.Column('presence', sa.String(), nullable=False, comment='LL1971-2 answer'),
    sa.Column('spdi', sa.String(), nullable=True),
    sa.Column('vrs', sa.String(), nullable=True),
    sa.Column('classification', sa.String(), nullable=False),
    sa.Column('classified_at', sa.BigInteger(), nullable=True),
    sa.Column('withdrawn', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.ForeignKeyConstraint(['patient_key'], ['patient.key'], name=op.f('fk_variant_occurrence_patient_key')),
    sa.ForeignKeyConstraint(['report_key'], ['report.key'], name=op.f('fk_variant_occurrence_report_key')),
    sa.ForeignKeyConstraint(['resource_key'], ['resource.key'], name=op.f('fk_variant_occurrence_resource_key')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_variant_occurrence')),
    sa.UniqueConstraint('resource_key', name=op.f('uq_variant_occurrence_resource_key'))
    )
    op.create_index('ix_variant_occurrence_gene', 'variant_occurrence', ['gene'], unique=False)
    op.create_index('ix_variant_occurrence_name', 'variant_occurrence', ['name'], unique=False)
    op.create_index(op.f('ix_variant_occurrence_patient_key'), 'variant_occurrence', ['patient_key'], unique=False)
    op.create_index(op.f('ix_variant_occurrence_report_key'), 'variant_occurrence', ['report_key'], unique=False)
    op.create_table('patient_merge_moved',
    sa.Column('merge_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('kind', sa.String(), nullable=False, comment='the table of the row that was re-pointed'),
    sa.Column('row_key', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['merge_key'], ['patient_merge.key'], name=op.f('fk_patient_merge_moved_merge_key')),
    sa.PrimaryKeyConstraint('merge_key', 'kind', 'row_key', name=op.f('pk_patient_merge_moved')),
    comment='what a merge re-pointed, so that its undo takes back just that'
    )


def downgrade() -> None:
    op.drop_table('patient_merge_moved')
    op.drop_index(op.f('ix_variant_occurrence_report_key'), table_name='variant_occurrence')
    op.drop_index(op.f('ix_variant_occurrence_patient_key'), table_name='variant_occurrence')
    op.drop_index('ix_variant_occurrence_name', table_name='variant_occurrence')
    op.drop_index('ix_variant_occurrence_gene', table_name='variant_occurrence')
    op.drop_table('variant_occurrence')
    op.drop_table('resource_version')
    op.drop_index(op.f('ix_patient_merge_survivor_key'), table_name='patient_merge')
    op.drop_index(op.f('ix_patient_merge_subsumed_key'), table_name='patient_merge')
    op.drop_table('patient_merge')
    op.drop_index(op.f('ix_index_token_resource_key'), table_name='index_token')
    op.drop_table('index_token')
    op.drop_index('ix_index_reference_target', table_name='index_reference')
    op.drop_table('index_reference')
    op.drop_index('ix_index_date_low', table_name='index_date')
    op.drop_table('index_date')
    op.drop_table('edition')
    op.drop_index(op.f('ix_access_grant_grantee'), table_name='access_grant')
    op.drop_table('access_grant')
    op.drop_index('ix_resource_type', table_name='resource')
    op.drop_index('ix_resource_patient', table_name='resource')
    op.drop_index('ix_resource_newest', table_name='resource')
    op.drop_table('resource')
    op.drop_index(op.f('ix_report_patient_key'), table_name='report')
    op.drop_table('report')
    op.drop_index(op.f('ix_placed_order_patient_key'), table_name='placed_order')
    op.drop_index('ix_placed_order_number', table_name='placed_order')
    op.drop_table('placed_order')
    op.drop_index(op.f('ix_patient_identifier_patient_key'), table_name='patient_identifier')
    op.drop_table('patient_identifier')
    op.drop_index('ix_part_work', table_name='part')
    op.drop_index(op.f('ix_part_message_key'), table_name='part')
    op.drop_index('ix_part_lane', table_name='part')
    op.drop_index('ix_part_awaits', table_name='part')
    op.drop_table('part')
    op.drop_index(op.f('ix_oauth_token_revoked_at'), table_name='oauth_token')
    op.drop_index(op.f('ix_oauth_token_expires_at'), table_name='oauth_token')
    op.drop_index(op.f('ix_oauth_token_client_id'), table_name='oauth_token')
    op.drop_table('oauth_token')
    op.drop_table('token')
    op.drop_table('secret')
    op.drop_table('patient')
    op.drop_table('oauth_client')
    op.drop_index(op.f('ix_oauth_assertion_expires_at'), table_name='oauth_assertion')
    op.drop_table('oauth_assertion')
    op.drop_index('ix_message_received', table_name='message')
    op.drop_index('ix_message_control', table_name='message')
    op.drop_table('message')
    op.drop_table('lane')
    op.drop_table('identity')
    op.drop_table('file')
